//! Entry points for the fuzz targets.

pub use crate::sqlite::fuzzing::{journal_segment, message_page};
