//! How often a source may ask, and how that shrinks while the hub cannot keep up.
//!
//! The rate is kept as the virtual time up to which what was asked fills it (the generic cell rate algorithm of ATM). When
//! the kernel has had to drop datagrams the rate of each source is halved, and it grows back slowly (additive increase,
//! multiplicative decrease, as TCP does): it settles where those who flood are dropped unread, which costs little, and
//! those who ask less than that notice nothing.

use core::num::NonZeroU32;
use core::time::Duration;

use super::super::settings::Settings;
use crate::limits::{
    CROWD_TIME, NEWCOMERS_BURST, NEWCOMERS_RATE, NEWCOMERS_SHARE, PRESSURE_GROWTH, PRESSURE_GROWTH_TIME,
    PRESSURE_RATE, PRESSURE_TIME, REQUESTS_PER_SECOND,
};
use crate::moment::Moment;

/// What one source may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// What one request takes of the virtual time.
    cost: Duration,
    /// How far the virtual time may be ahead.
    tolerance: Duration,
    /// Whether this is less than the operator grants.
    pub(super) is_squeezed: bool,
}

impl Share {
    /// What the operator grants each source; `None`: everything.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let rate = settings.requests_per_second?.get();
        let burst = settings.burst.map_or(rate, NonZeroU32::get);
        let cost = cost(rate);
        Some(Self { cost, tolerance: cost * burst, is_squeezed: false })
    }

    /// Takes so many requests of an account, if it has any left.
    pub(super) fn take(&self, account: &mut Moment, now: Moment, requests: u32) -> bool {
        let has_some = account.since(now) < self.tolerance;
        if has_some {
            self.charge(account, now, requests);
        }
        has_some
    }

    /// Takes so many requests of an account, also if it has none left.
    pub(super) fn charge(&self, account: &mut Moment, now: Moment, requests: u32) {
        *account = (*account).max(now) + self.cost * requests;
    }

    /// When an account that has nothing left will have something.
    pub(super) fn waits(&self, account: Moment, now: Moment) -> Option<Moment> {
        let ahead = account.since(now);
        let over = ahead.checked_sub(self.tolerance)?;
        Some(now + over + self.cost.min(self.tolerance))
    }
}

fn cost(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}

/// What is left to each source while the hub cannot keep up.
#[derive(Clone, Copy, Debug)]
struct Squeeze {
    rate: u32,
    shrunk: Moment,
    grown: Moment,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    squeeze: Option<Squeeze>,
    /// Until when there is a crowd.
    crowd: Option<Moment>,
    /// The account of all newcomers together.
    newcomers: Moment,
}

impl Pressure {
    /// The hub could not keep up.
    pub(super) fn shrink(&mut self, now: Moment, settings: &Settings) {
        let rate = match &self.squeeze {
            Some(squeeze) if now.since(squeeze.shrunk) < PRESSURE_TIME => return,
            Some(squeeze) => squeeze.rate,
            None => full(settings),
        };
        self.squeeze = Some(Squeeze { rate: (rate / 2).max(PRESSURE_RATE), shrunk: now, grown: now });
    }

    /// What each source may ask now; `None`: everything.
    pub(super) fn share(&mut self, now: Moment, settings: &Settings) -> Option<Share> {
        let granted = Share::of(settings);
        let Some(squeeze) = &mut self.squeeze else { return granted };
        let full = full(settings);
        while squeeze.rate < full && now.since(squeeze.grown) >= PRESSURE_GROWTH_TIME {
            squeeze.rate += squeeze.rate / PRESSURE_GROWTH + 1;
            squeeze.grown = squeeze.grown + PRESSURE_GROWTH_TIME;
        }
        if squeeze.rate >= full {
            self.squeeze = None;
            return granted;
        }
        let tolerance = granted.map_or(Duration::from_secs(1), |share| share.tolerance);
        Some(Share { cost: cost(squeeze.rate), tolerance, is_squeezed: true })
    }

    /// More comes than can be read.
    pub(super) fn crowded(&mut self, now: Moment) {
        self.crowd = Some(now + CROWD_TIME);
    }

    fn is_crowded(&self, now: Moment) -> bool {
        self.crowd.is_some_and(|until| now < until)
    }

    /// Whether those who are not known may not all come now.
    pub(super) fn limits_newcomers(&self, now: Moment, share: Option<Share>) -> bool {
        share.is_some_and(|share| share.is_squeezed) || self.is_crowded(now)
    }

    /// Whether one more that is not known may come; all of them share what a few sources have, and in a crowd less.
    pub(super) fn admits_newcomer(&mut self, now: Moment, share: Option<Share>) -> bool {
        let squeezed = share.filter(|share| share.is_squeezed).map(|share| {
            let cost = share.cost / NEWCOMERS_SHARE;
            Share { cost, tolerance: cost * NEWCOMERS_SHARE, is_squeezed: true }
        });
        let crowded = || {
            let cost = cost(NEWCOMERS_RATE);
            Share { cost, tolerance: cost * NEWCOMERS_BURST, is_squeezed: true }
        };
        let together = match squeezed {
            Some(squeezed) if !self.is_crowded(now) || squeezed.cost > crowded().cost => squeezed,
            Some(_) | None => crowded(),
        };
        together.take(&mut self.newcomers, now, 1)
    }
}

/// What a source may ask if nothing is in the way.
fn full(settings: &Settings) -> u32 {
    settings.requests_per_second.map_or(*REQUESTS_PER_SECOND.end(), NonZeroU32::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(pressure: &mut Pressure, now: Moment, settings: &Settings) -> Option<u128> {
        pressure.share(now, settings).map(|share| 1_000_000_000 / share.cost.as_nanos())
    }

    #[test]
    fn under_pressure_the_rate_halves_down_to_its_floor_and_grows_back() {
        let settings =
            Settings { requests_per_second: NonZeroU32::new(8000), burst: None, ..Settings::default() };
        let mut pressure = Pressure::default();
        let mut now = Moment::ZERO + Duration::from_secs(5);
        assert_eq!(rate(&mut pressure, now, &settings), Some(8000));
        pressure.shrink(now, &settings);
        pressure.shrink(now, &settings);
        assert_eq!(rate(&mut pressure, now, &settings), Some(4000), "once in a while only");
        for _ in 0..20 {
            now = now + PRESSURE_TIME;
            pressure.shrink(now, &settings);
        }
        assert_eq!(rate(&mut pressure, now, &settings), Some(u128::from(PRESSURE_RATE)));
        assert!(rate(&mut pressure, now + Duration::from_secs(5), &settings).unwrap() < 1000);
        let later = pressure.share(now + Duration::from_mins(1), &settings).unwrap();
        assert_eq!(Some(later), Share::of(&settings), "and then it is over");
    }

    #[test]
    fn pressure_limits_also_where_the_operator_does_not() {
        let settings = Settings { requests_per_second: None, ..Settings::default() };
        let mut pressure = Pressure::default();
        assert_eq!(pressure.share(Moment::ZERO, &settings), None);
        pressure.shrink(Moment::ZERO, &settings);
        assert!(pressure.share(Moment::ZERO, &settings).is_some_and(|share| share.is_squeezed));
        assert_eq!(pressure.share(Moment::ZERO + Duration::from_mins(5), &settings), None);
    }
}
