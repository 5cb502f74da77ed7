//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and
//! asserts what must hold of whatever comes out. None of it is for users.

pub use crate::manifest::fuzzing::{manifest, sample_items, sample_manifest};
