//! Points in time as the formats write them, in UTC.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time by date and time of day.
pub(super) struct Moment {
    year: u64,
    /// From 1, like the day.
    month: u64,
    day: u64,
    second: u64,
    millis: u32,
}

impl Moment {
    /// A time before 1970 counts as its begin.
    pub(super) fn of(time: SystemTime) -> Moment {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
        let (year, month, day) = date(days);
        Moment { year, month, day, second, millis: since.subsec_millis() }
    }

    /// `10/Oct/2000:13:55:36 +0000`
    pub(super) fn common(&self, out: &mut String) {
        let Moment { year, month, day, .. } = self;
        let name = MONTHS[*month as usize - 1];
        let (hours, minutes, seconds) = self.clock();
        write!(out, "{day:02}/{name}/{year}:{hours:02}:{minutes:02}:{seconds:02} +0000")
            .expect("writing to a string does not fail");
    }

    /// `2000-10-10T13:55:36.123Z`
    pub(super) fn rfc3339(&self) -> String {
        let Moment { year, month, day, millis, .. } = self;
        let (hours, minutes, seconds) = self.clock();
        format!("{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
    }

    fn clock(&self) -> (u64, u64, u64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }
}

/// The date of a number of days after the first of January 1970.
///
/// Years are counted from March: so the leap day is the last one of a year, and the lengths of the
/// months before it follow a formula (Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_FROM_MARCH_OF_0;
    let (era, day_of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524
        - day_of_era / (DAYS_OF_400_YEARS - 1))
        / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

const DAY: u64 = 86_400;
const DAYS_FROM_MARCH_OF_0: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_written_as_both_formats_have_them() {
        for (seconds, common, rfc3339) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.007Z"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000", "2000-02-28T23:59:59.007Z"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000", "2000-02-29T00:00:00.007Z"),
            (1_709_251_200, "01/Mar/2024:00:00:00 +0000", "2024-03-01T00:00:00.007Z"),
            (4_107_542_399, "28/Feb/2100:23:59:59 +0000", "2100-02-28T23:59:59.007Z"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000", "2100-03-01T00:00:00.007Z"),
        ] {
            let moment = Moment::of(UNIX_EPOCH + Duration::new(seconds, 7_000_000));
            let mut text = String::new();
            moment.common(&mut text);
            assert_eq!((text.as_str(), moment.rfc3339().as_str()), (common, rfc3339));
        }
    }
}
