mod refreshes;
mod world;
