mod faults;
mod finding;
mod hearing;
mod world;
