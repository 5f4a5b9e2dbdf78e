mod faults;
mod lives;
mod walks;
mod world;
