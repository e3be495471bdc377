//! Files of results: what `--json` appends to, one result a line, and what the suite writes.

use crate::error::Error;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// The key that is true if the generator, not the server, limited a part of the run; the name of the part precedes it.
pub const BOTTLENECK: &str = "generator_was_the_bottleneck";
/// The key that is true where Ctrl-C cut the run short.
pub const ENDED_EARLY: &str = "ended_early";

/// The results in `file`.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn load(file: &Path) -> Result<Vec<Map<String, Value>>, Error> {
    let text =
        fs::read_to_string(file).map_err(|error| Error::io(format!("read {}", file.display()), error))?;
    parse(&text).ok_or_else(|| Error::Usage(format!("{} holds no results", file.display())))
}

/// Reads a suite's object, or lines with one result each.
pub fn parse(text: &str) -> Option<Vec<Map<String, Value>>> {
    if let Ok(Value::Object(mut suite)) = serde_json::from_str(text)
        && let Some(Value::Array(runs)) = suite.remove("runs")
    {
        return runs.into_iter().map(object).collect();
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).ok().and_then(object)).collect()
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// Whether the generator limited any part of the run.
pub fn is_generator_bound(result: &Map<String, Value>) -> bool {
    result.iter().any(|(key, value)| key.ends_with(BOTTLENECK) && value.as_bool() == Some(true))
}
