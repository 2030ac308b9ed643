//! The structure of the project: the layers of its crates, the sizes of files and functions, and the
//! names in its documentation.

mod crates;
mod cycles;
mod decisions;
mod definitions;
mod docs_tests;
mod exempt;
mod guide;
mod imports;
mod layers;
mod layers_tests;
mod pages;
mod sizes;
mod sizes_tests;
mod sources;
mod tokens;
