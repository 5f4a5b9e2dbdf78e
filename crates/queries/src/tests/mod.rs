mod delivery;
mod life;
mod world;
