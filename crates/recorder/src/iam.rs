//! What is IAM's and STS's own in the records of their calls, which come through the query protocol: values by their
//! type, times in words, no secrets; IAM's calls where the partition has its global services, its errors by the model's
//! names. (CloudTrail User Guide, "Global service events"; genuine records of CreateUser, CreateRole, CreateAccessKey,
//! CreateLoginProfile, AssumeRole and others.)

use opentrail_model::Timestamp;
use serde_json::Value;

use crate::draft::{Draft, object_or_null};
use crate::generated::iam::{BOOLEANS, ERRORS, SECRET, TIMES, WHOLES};
use crate::spelling::lowered;

/// The members of a service that are no text, by the model's names.
struct Members {
    booleans: &'static [&'static str],
    wholes: &'static [&'static str],
    times: &'static [&'static str],
    /// How records spell a time.
    time_format: &'static str,
    /// What records leave out.
    secret: &'static [&'static str],
}

static IAM: Members = Members {
    booleans: BOOLEANS,
    wholes: WHOLES,
    times: TIMES,
    time_format: "%b %-d, %Y %-I:%M:%S %p",
    secret: SECRET,
};

/// With another comma than IAM's in its times.
static STS: Members = Members {
    booleans: &[],
    wholes: &["DurationSeconds", "PackedPolicySize"],
    times: &["Expiration"],
    time_format: "%b %-d, %Y, %-I:%M:%S %p",
    secret: &[],
};

/// Makes the draft of a call to IAM or STS what their records look like; that of another service stays as it is.
pub(crate) fn adjust(draft: &mut Draft) {
    let members = match draft.event_source.as_str() {
        "iam.amazonaws.com" => &IAM,
        "sts.amazonaws.com" => &STS,
        _ => return,
    };
    for document in [&mut draft.request_parameters, &mut draft.response_elements] {
        *document = match members.shown(document.take(), "") {
            Value::Object(members) => object_or_null(members),
            other => other,
        };
    }
    if draft.event_source != "iam.amazonaws.com" {
        return;
    }
    draft.region = draft.region.of_global_services();
    if let Some(failure) = &mut draft.failure
        && let Ok(index) = ERRORS.binary_search_by(|(code, _)| (*code).cmp(&failure.code))
    {
        ERRORS[index].1.clone_into(&mut failure.code);
    }
}

impl Members {
    /// The value of `member`, both in CloudTrail's spelling.
    fn shown(&self, value: Value, member: &str) -> Value {
        match value {
            Value::Object(mut members) => {
                if let Some(items) = members.remove("member") {
                    let items = if let Value::Array(items) = items { items } else { vec![items] };
                    return Value::Array(items.into_iter().map(|item| self.shown(item, member)).collect());
                }
                let open = members.into_iter().filter(|(name, _)| !named(self.secret, name));
                Value::Object(open.map(|(name, value)| (name.clone(), self.shown(value, &name))).collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.shown(item, member)).collect()),
            Value::String(text) => self.typed(text, member),
            // What XML spells like a number or truth value, but for the members that are one, was text.
            Value::Number(number) if !named(self.wholes, member) => Value::from(number.to_string()),
            // `omitted` is CloudTrail's own.
            Value::Bool(truth) if !named(self.booleans, member) && member != "omitted" => {
                Value::from(truth.to_string())
            }
            other => other,
        }
    }

    fn typed(&self, text: String, member: &str) -> Value {
        if named(self.booleans, member) && matches!(text.as_str(), "true" | "false") {
            return Value::Bool(text == "true");
        }
        if named(self.wholes, member)
            && let Ok(number) = text.parse::<i64>()
        {
            return number.into();
        }
        if named(self.times, member)
            && let Ok(time) = text.parse::<Timestamp>()
        {
            return time.format(self.time_format).into();
        }
        text.into()
    }
}

/// Whether a table of the model's names holds `member`.
fn named(table: &[&str], member: &str) -> bool {
    table.iter().any(|name| lowered(name) == member)
}
