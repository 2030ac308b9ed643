//! The structure of the project's crates: their layers, and the sizes of their files and functions.

mod cycles;
mod exempt;
mod imports;
mod layers;
mod layers_tests;
mod sizes;
mod sizes_tests;
mod sources;
mod tokens;
