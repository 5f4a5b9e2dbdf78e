//! One field of a cron expression: which numbers it takes.

/// What numbers a field may have, and what names they have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) least: u32,
    pub(super) most: u32,
    /// Of `least`, of the next, and so on.
    pub(super) names: &'static [&'static str],
    /// Whether a range may go over the end, as weekdays and hours do.
    pub(super) goes_round: bool,
}

/// The numbers that a field takes: bit `n` stands for `least + n`. There are at most 230, of years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    least: u32,
    bits: [u64; 4],
}

impl Kind {
    /// Reads `*`, numbers, names, ranges, steps, and lists of these.
    pub(super) fn parse(&self, text: &str) -> Option<Numbers> {
        let mut numbers = Numbers { least: self.least, bits: [0; 4] };
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(digits(step).filter(|step| *step > 0)?)),
                None => (item, None),
            };
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (self.number(first)?, self.number(last)?),
                None if range == "*" => (self.least, self.most),
                // `5/15` goes on to the end.
                None => (self.number(range)?, if step.is_some() { self.most } else { self.number(range)? }),
            };
            let length = match first <= last {
                true => last - first,
                false if self.goes_round => self.most - self.least + 1 + last - first,
                false => return None,
            };
            for ahead in (0..=length).step_by(step.unwrap_or(1) as usize) {
                let number = self.least + (first - self.least + ahead) % (self.most - self.least + 1);
                numbers.add(number);
            }
        }
        Some(numbers)
    }

    /// A number within the bounds, or a name of one, in letters of either case.
    pub(super) fn number(&self, text: &str) -> Option<u32> {
        let named = || self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = digits(text).or_else(|| Some(self.least + named()? as u32))?;
        (self.least..=self.most).contains(&number).then_some(number)
    }
}

/// A number of up to four digits, and nothing else.
pub(super) fn digits(text: &str) -> Option<u32> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl Numbers {
    pub(super) fn has(&self, number: u32) -> bool {
        let Some(index) = number.checked_sub(self.least) else { return false };
        self.bits.get(index as usize / 64).is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    fn add(&mut self, number: u32) {
        let index = number - self.least;
        self.bits[index as usize / 64] |= 1 << (index % 64);
    }
}
