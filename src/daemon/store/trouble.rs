//! What can be wrong with a state file.

use std::io;

use rusqlite::{ErrorCode, ffi};

use crate::hub::Damage;

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// What it holds is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// A newer pigeond wrote it.
    #[error("it is of version {version}, and only {known} is known")]
    Newer {
        /// Its schema's version.
        version: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// The system would not let us read or write it.
    #[error("{0}")]
    Failed(rusqlite::Error),
    /// Nor the file of its batches.
    #[error("its batches: {0}")]
    Batches(#[from] io::Error),
}

impl Trouble {
    /// Whether there is no room, but may be later.
    pub(super) fn is_disk_full(&self) -> bool {
        match self {
            Self::Failed(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Batches(error) => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Damaged(_) | Self::Newer { .. } => false,
        }
    }
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage.to_string())
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Failed(error) }
    }
}

/// Whether the error lies in what the file holds: not in the system below, which another file would not change.
fn is_damage(error: &rusqlite::Error) -> bool {
    // Without a code of SQLite's, what the file holds is of another type or form than what was written.
    error.sqlite_error().is_none_or(|sqlite| {
        sqlite.extended_code == ffi::SQLITE_IOERR_CORRUPTFS
            || matches!(
                sqlite.code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::TooBig
                    // A statement of ours that the file's own schema does not fit.
                    | ErrorCode::Unknown
            )
    })
}
