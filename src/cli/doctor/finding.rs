//! What a check has found, and how it is told.

use serde_json::json;

use crate::cli::exit::Failure;
use crate::cli::output::{Output, sanitised};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It may be the cause of trouble, or may be meant so.
    Warn,
    /// It is the cause of trouble.
    Fail,
    /// It could not be checked.
    Skip,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) what: String,
    /// What to do about it: a command wherever there is one.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, state: State::Ok, what: what.into(), fix: None }
    }

    pub(super) fn skip(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, state: State::Skip, what: what.into(), fix: None }
    }

    pub(super) fn warn(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Warn, what: what.into(), fix: Some(fix.into()) }
    }

    pub(super) fn fail(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Fail, what: what.into(), fix: Some(fix.into()) }
    }
}

/// The report, printed as it grows.
#[derive(Debug)]
pub(super) struct Report<'a> {
    out: &'a mut Output,
    pub(super) has_failed: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut Output) -> Self {
        Self { out, has_failed: false }
    }

    pub(super) fn add(&mut self, finding: &Finding) -> Result<(), Failure> {
        let Finding { check, state, what, fix } = finding;
        self.has_failed |= *state == State::Fail;
        if self.out.json {
            let state = state.name().to_ascii_lowercase();
            return self.out.object(&json!({"check": check, "state": state, "what": what, "fix": fix}));
        }
        // What other programs and peers wrote stands in it.
        self.out.line(&format!("{:<4}  {check:<10}  {}", state.name(), sanitised(what.as_bytes())))?;
        match fix {
            Some(fix) => self.out.line(&format!("                  {}", sanitised(fix.as_bytes()))),
            None => Ok(()),
        }
    }
}
