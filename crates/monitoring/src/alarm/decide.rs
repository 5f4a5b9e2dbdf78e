//! How data, and missing data, make a state. (CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data".)

use super::StateValue;

/// What a period says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slot {
    Missing,
    Within(f64),
    Breaching(f64),
}

/// How missing data count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreatMissing {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// `None` keeps the state.
    pub(crate) state: Option<StateValue>,
    /// How many missing periods had to be filled in.
    pub(crate) filled: usize,
}

/// More periods are looked at than an alarm evaluates, in case some are missing. How many more CloudWatch does not say; in
/// its examples it is two.
pub(crate) const EXTRA: usize = 2;

/// Decides over the evaluation range, the oldest period first: `evaluated` periods count, of which `to_alarm` must breach.
pub(crate) fn decide(range: &[Slot], evaluated: usize, to_alarm: usize, treat: TreatMissing) -> Decision {
    let real = || range.iter().rev().filter(|slot| **slot != Slot::Missing);
    let count = real().count();
    let breaching = real().take(evaluated).filter(|slot| matches!(slot, Slot::Breaching(_))).count();
    let threshold = |breaching: usize| Some(if breaching >= to_alarm { StateValue::Alarm } else { StateValue::Ok });
    if count >= evaluated {
        return Decision { state: threshold(breaching), filled: 0 };
    }
    let filled = evaluated - count;
    let kept = |state| if treat == TreatMissing::Ignore { None } else { Some(state) };
    let state = match treat {
        TreatMissing::Breaching => threshold(breaching + filled),
        TreatMissing::NotBreaching => threshold(breaching),
        _ if count == 0 => kept(StateValue::InsufficientData),
        _ if breaching >= to_alarm => Some(StateValue::Alarm),
        // Some are within the threshold: what is missing does not make up for that.
        _ if breaching < count => Some(StateValue::Ok),
        // All that is there breaches, and is too little. If it is old enough, what is missing since is no excuse ("Avoiding
        // premature transitions to alarm state"). Else the next may be within; an earlier edition's table says what then.
        _ => {
            let oldest = range.iter().position(|slot| *slot != Slot::Missing).map_or(0, |at| range.len() - at);
            kept(if oldest >= to_alarm { StateValue::Alarm } else { StateValue::InsufficientData })
        }
    };
    Decision { state, filled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &str) -> Vec<Slot> {
        let slot = |c| match c {
            '0' => Slot::Within(0.0),
            'X' => Slot::Breaching(1.0),
            _ => Slot::Missing,
        };
        text.split(' ').map(|word| slot(word.chars().next().unwrap())).collect()
    }

    /// The states for missing, ignore, breaching and notBreaching; `None` is "Retain current state".
    fn row(text: &str, to_alarm: usize) -> (usize, [Option<&'static str>; 4]) {
        let all = [TreatMissing::Missing, TreatMissing::Ignore, TreatMissing::Breaching, TreatMissing::NotBreaching];
        let decisions = all.map(|treat| decide(&slots(text), 3, to_alarm, treat));
        (decisions[0].filled, decisions.map(|decision| decision.state.map(StateValue::as_str)))
    }

    const OK: Option<&str> = Some("OK");
    const ALARM: Option<&str> = Some("ALARM");
    const INSUFFICIENT: Option<&str> = Some("INSUFFICIENT_DATA");

    /// User Guide, "How alarm state is evaluated when data is missing", first table: 3 out of 3.
    #[test]
    fn three_out_of_three() {
        assert_eq!(row("0 - X - X", 3), (0, [OK, OK, OK, OK]));
        assert_eq!(row("0 - - - -", 3), (2, [OK, OK, OK, OK]));
        assert_eq!(row("- - - - -", 3), (3, [INSUFFICIENT, None, ALARM, OK]));
        assert_eq!(row("0 X X - X", 3), (0, [ALARM, ALARM, ALARM, ALARM]));
        assert_eq!(row("- - X - -", 3), (2, [ALARM, None, ALARM, OK]));
    }

    /// The second table: 2 out of 3.
    #[test]
    fn two_out_of_three() {
        assert_eq!(row("0 - X - X", 2), (0, [ALARM, ALARM, ALARM, ALARM]));
        assert_eq!(row("0 0 X 0 X", 2), (0, [ALARM, ALARM, ALARM, ALARM]));
        assert_eq!(row("0 - X - -", 2), (1, [OK, OK, ALARM, OK]));
        assert_eq!(row("- - - - 0", 2), (2, [OK, OK, ALARM, OK]));
        assert_eq!(row("- - - X -", 2), (2, [ALARM, None, ALARM, OK]));
    }

    /// "Avoiding premature transitions to alarm state", and an earlier edition's fifth row.
    #[test]
    fn a_lone_new_breach_is_not_yet_an_alarm() {
        assert_eq!(row("- - - - X", 3), (2, [INSUFFICIENT, None, ALARM, OK]));
        assert_eq!(row("- - - X -", 3), (2, [INSUFFICIENT, None, ALARM, OK]));
        assert_eq!(row("- - - X 0", 3), (1, [OK, OK, OK, OK]));
        assert_eq!(row("- - X - 0", 3), (1, [OK, OK, OK, OK]));
        assert_eq!(row("- - - - X", 1), (2, [ALARM, ALARM, ALARM, ALARM]));
    }
}
