//! A progress bar on standard error, only where a person sees it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};

/// Bytes done of a total, with rate and ETA.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over `total_bytes`, or without an end if that is unknown. It shows itself only if
    /// `wanted` and standard error is a terminal.
    pub(crate) fn bytes(total_bytes: Option<u64>, wanted: bool) -> Self {
        if !wanted || !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let target = ProgressDrawTarget::stderr_with_hz(10);
        let bar = ProgressBar::with_draw_target(total_bytes, target);
        let template = match total_bytes {
            Some(_) => "{bar:32} {bytes}/{total_bytes} · {bytes_per_sec} · ETA {eta} {msg}",
            None => "{spinner} {bytes} · {bytes_per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// The same over `total` things of one kind, which are called `what`.
    pub(crate) fn counted(total: u64, what: &'static str, wanted: bool) -> Self {
        let progress = Self::bytes(Some(total), wanted);
        let template = format!("{{bar:32}} {{human_pos}}/{{human_len}} {what} · ETA {{eta}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            progress.bar.set_style(style);
        }
        progress
    }

    /// So many more bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// So many bytes are done in all; `what` says more.
    pub(crate) fn at(&self, bytes: u64, what: impl FnOnce() -> String) {
        if !self.bar.is_hidden() {
            self.bar.set_position(bytes);
            self.bar.set_message(what());
        }
    }

    /// Writes to standard error while the bar is away.
    pub(crate) fn hidden(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
