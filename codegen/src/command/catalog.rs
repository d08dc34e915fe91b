//! `catalog`: describes every event.

use std::process::ExitCode;

use super::arguments::Arguments;
use super::{Failure, builder, say, write};

/// Writes the catalogue, or prints it.
pub(super) fn catalog(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let format = arguments.format.as_deref().unwrap_or("md");
    if !["md", "json", "html"].contains(&format) {
        return Err(Failure::Usage(format!("`{format}` is not a format: md, json or html is")));
    }
    let catalog = builder().catalog(arguments.files()?, &arguments.includes)?;
    let text = match format {
        "json" => catalog.json(),
        "html" => catalog.html(),
        _ => catalog.markdown(),
    };
    match &arguments.out {
        Some(path) => write(path, &text).map(|()| ExitCode::SUCCESS),
        None => say(text.trim_end()),
    }
}
