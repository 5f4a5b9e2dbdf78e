//! What the files hold, as far as one thing in them must fit to another.

use sqlx::sqlite::SqliteConnection;

pub(super) const LOGS: &str = "logs.sqlite";
pub(super) const FINDINGS: &str = "findings.sqlite";

/// One file.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) file: &'static str,
    /// What is lost without the file; `None` for one that not every server makes.
    pub(super) lost: Option<&'static str>,
    /// Statements that count what is looked at.
    pub(super) counted: &'static [(&'static str, &'static str)],
    /// Statements that find what must not be: a text for each.
    pub(super) wrong: &'static [&'static str],
    pub(super) positions: &'static [Positions],
}

/// A statement that finds positions: what to call each, and its value.
#[derive(Debug)]
pub(super) struct Positions {
    pub(super) statement: &'static str,
    pub(super) what: Of,
}

/// Positions in what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// The journal: everything after it is still to be read.
    ToBeRead,
    /// The journal: everything up to it was read.
    Reached,
    /// The chunks of log events: twice the number, and one more when its minute is closed.
    Chunks,
    /// The findings.
    Findings,
}

/// All of them. A file stands behind those in which it has positions.
pub(super) const FILES: &[Table] = &[
    Table {
        file: LOGS,
        lost: Some("log groups, their events and metric filters are lost"),
        counted: &[("chunks", "SELECT count(*) FROM chunk"), ("log groups", "SELECT count(*) FROM log_group")],
        wrong: &[
            "SELECT 'the chunk ' || sequence || ' is of a log stream that is not there' FROM chunk
             WHERE stream_id NOT IN (SELECT id FROM log_stream UNION SELECT stream_id FROM dropped)",
            "SELECT 'the log stream ' || name || ' is of a log group that is not there' FROM log_stream
             WHERE group_id NOT IN (SELECT id FROM log_group)",
            "SELECT 'the metric filter ' || name || ' is of a log group that is not there' FROM metric_filter
             WHERE group_id NOT IN (SELECT id FROM log_group)",
            "SELECT 'the metric filter ' || name || ' cannot be understood' FROM metric_filter WHERE NOT json_valid(body)",
        ],
        positions: &[Positions { statement: "SELECT name, position FROM source", what: Of::Reached }],
    },
    Table {
        file: FINDINGS,
        lost: Some("Sigma rules and their findings are lost"),
        counted: &[("findings", "SELECT count(*) FROM finding"), ("Sigma rules", "SELECT count(*) FROM rule")],
        wrong: &[
            "SELECT 'the finding ' || id || ' cannot be understood' FROM finding
             WHERE NOT json_valid(body) OR NOT json_valid(tags)",
            "SELECT 'findings up to ' || value || ' were handed on, more than there were' FROM state
             WHERE name = 'announced' AND value > (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'finding')",
            "SELECT 'what the rule ' || rule || ' has seen of ' || grp || ' cannot be understood' FROM correlation
             WHERE NOT json_valid(seen)",
        ],
        positions: &[Positions {
            statement: "SELECT name, value FROM state WHERE name = 'position'",
            what: Of::ToBeRead,
        }],
    },
    Table {
        file: "sns.sqlite",
        lost: Some("messages that were acknowledged and not yet delivered are lost"),
        counted: &[("messages", "SELECT count(*) FROM message"), ("deliveries", "SELECT count(*) FROM delivery")],
        wrong: &[
            "SELECT 'the delivery ' || id || ' is of a message that is not there' FROM delivery
             WHERE message NOT IN (SELECT id FROM message)",
            "SELECT 'the message ' || id || ' cannot be understood' FROM message WHERE NOT json_valid(CAST(body AS TEXT))",
            "SELECT 'the delivery ' || id || ' waits in a lane that is not there' FROM delivery
             WHERE lane NOT IN (SELECT name FROM lane)",
            "SELECT 'the lane ' || name || ' counts ' || waiting || ' deliveries, and has '
                 || (SELECT count(*) FROM delivery WHERE lane = name) FROM lane
             WHERE waiting <> (SELECT count(*) FROM delivery WHERE lane = name)",
            "SELECT 'the lane ' || name || ' has deliveries and is never due' FROM lane
             WHERE due = 9223372036854775807 AND EXISTS (SELECT 1 FROM delivery WHERE lane = name)",
        ],
        positions: &[],
    },
    Table {
        file: "events.sqlite",
        lost: Some("what rules took and targets did not get is lost"),
        counted: &[("invocations", "SELECT count(*) FROM invocation")],
        wrong: &[
            "SELECT 'the invocation ' || id || ' is of an event that is not there' FROM invocation
             WHERE event NOT IN (SELECT id FROM event)",
            "SELECT 'the invocation ' || id || ' cannot be understood' FROM invocation
             WHERE NOT json_valid(CAST(target AS TEXT)) OR letter IS NOT NULL AND NOT json_valid(CAST(letter AS TEXT))",
        ],
        positions: &[Positions { statement: "SELECT projection, position FROM position", what: Of::ToBeRead }],
    },
    Table {
        file: "metrics.sqlite",
        lost: Some("metrics, alarms and their history are lost"),
        counted: &[("metrics", "SELECT count(*) FROM series"), ("alarms", "SELECT count(*) FROM alarm")],
        wrong: &[
            "SELECT DISTINCT 'there are values of a metric ' || series || ' that is not there' FROM point
             WHERE series NOT IN (SELECT id FROM series)",
            "SELECT 'the alarm ' || name || ' cannot be understood' FROM alarm
             WHERE NOT json_valid(CAST(document AS TEXT)) OR json_extract(CAST(document AS TEXT), '$.name') <> name",
            "SELECT 'the action ' || id || ' of the alarm ' || alarm || ' cannot be understood' FROM outbox
             WHERE NOT json_valid(CAST(content AS TEXT))",
            "SELECT 'an item of the history of ' || alarm || ' cannot be understood' FROM history
             WHERE NOT json_valid(data)",
        ],
        positions: &[
            Positions {
                statement: "SELECT name, position FROM source WHERE name = 'metric-filters'",
                what: Of::Chunks,
            },
            Positions {
                statement: "SELECT name, position FROM source WHERE name = 'sigma-findings'",
                what: Of::Findings,
            },
        ],
    },
    Table {
        file: "insights.sqlite",
        lost: None,
        counted: &[("Insights", "SELECT count(*) FROM insight")],
        wrong: &[],
        positions: &[Positions { statement: "SELECT 'position', position FROM meta", what: Of::Reached }],
    },
];

/// The number of the last finding that there was.
pub(super) async fn last_finding(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'finding'")
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(last).unwrap_or_default())
}
