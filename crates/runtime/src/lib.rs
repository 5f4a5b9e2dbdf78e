//! Time, chance and tasks, injected so that tests own them.
//!
//! [`Clock`] and [`Random`] are the only ways to the wall clock and to randomness; `clippy.toml` bans the others.
//! [`TaskGroup`] is the only way to start a task that outlives its caller. A [`CrashPoint`] is a step at which a test can
//! have a debug build die.

mod clock;
mod crash_point;
mod random;
mod tasks;

pub use clock::{Clock, ManualClock, QuickClock, SystemClock};
pub use crash_point::{CRASH_AT, CrashAt, CrashPoint, UnknownCrashPoint};
pub use random::{Random, SeededRandom, SystemRandom};
pub use tasks::{OnError, Shutdown, TaskGroup};
