//! Durations as people write them: `5s`, `300ms`, `2m`.

use std::time::Duration;

/// The longest that may be asked for. A hub forgets a session after an hour, so half of that is always safe.
const LONGEST: Duration = Duration::from_mins(30);

/// Reads a whole or decimal number with `ms`, `s` or `m` behind it; a bare number is seconds. More than nothing,
/// at most half an hour.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let unit = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (number, seconds) = unit.unwrap_or((text, 1.0));
    let plain = number.starts_with(|c: char| c.is_ascii_digit()) && !number.contains(['e', 'E']);
    let number = if plain { number.parse::<f64>().ok() } else { None };
    let duration = number.and_then(|number| Duration::try_from_secs_f64(number * seconds).ok());
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or("a time is a number with ms, s or m behind it, such as 5s or 300ms, and at most 30m")
}

/// Writes a duration the way it is read.
pub(super) fn show(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{}ms", duration.as_secs_f64() * 1000.0)
    } else {
        format!("{}s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, millis) in
            [("5s", 5000), ("300ms", 300), ("2m", 120_000), ("0.5s", 500), ("7", 7000), ("30m", 1_800_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "5h", "-5s", "0", "0ms", "31m", "1e3s", "inf", "nan", "5 s", "5s ", "+5s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_shown_as_they_are_read() {
        for text in ["5s", "300ms", "1.5s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
