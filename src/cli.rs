//! The `pigeon` program.
