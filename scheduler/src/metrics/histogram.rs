//! WorkerHistograms in buckets that double.

use std::time::Duration;

use super::Counter;

/// The unit of a histogram's values and the bounds of its buckets.
///
/// The first bound is 2 to the power of the discriminant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scale {
    /// Nanoseconds; the first bound is 1.024 µs, the last 68.7 s.
    Time = 10,
    /// A number of things; the first bound is 1, the last 2^26.
    Number = 0,
}

/// How many values there were of each magnitude, and their sum.
///
/// Each bucket is twice as wide as the one before. Recording costs two loads and two stores and
/// takes no lock. It has one writer at a time, like a [`Counter`]; keep it in
/// [`PerWorker`](crate::PerWorker).
///
/// ```
/// use heist::metrics::{Histogram, HistogramSnapshot, Scale};
/// use std::time::Duration;
///
/// let histogram = Histogram::new(Scale::Time);
/// histogram.record_time(Duration::from_micros(3));
/// let mut all = HistogramSnapshot::new(Scale::Time);
/// all.add(&histogram);
/// assert_eq!(all.count(), 1);
/// assert_eq!(all.sum(), 3e-6);
/// ```
#[derive(Debug)]
pub struct Histogram {
    scale: Scale,
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new(scale: Scale) -> Histogram {
        Histogram { scale, buckets: Default::default(), sum: Counter::default() }
    }

    /// Counts a value, in the unit of the scale: nanoseconds or things.
    #[inline]
    pub fn record(&self, value: u64) {
        self.buckets[self.scale.bucket(value)].add(1);
        self.sum.add(value);
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum.wrapping_add(bucket.get()))
    }

    /// The sum of the values, in the unit that they were recorded in.
    pub(crate) fn total(&self) -> u64 {
        self.sum.get()
    }

    /// Counts a length of time.
    #[inline]
    pub fn record_time(&self, time: Duration) {
        self.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Scale {
    /// The bucket that `value` belongs to: the first one whose bound is not below it.
    #[inline]
    fn bucket(self, value: u64) -> usize {
        // How often the first bound fits below the value; the number of bits of that is the bucket.
        // Capped first and made odd, this is a dozen instructions without a branch, for each poll.
        let bounds = (value.saturating_sub(1) >> self as u8).min(1 << (BUCKETS - 2));
        (bounds << 1 | 1).ilog2() as usize
    }

    /// How many values make one of the unit that is shown.
    fn unit(self) -> f64 {
        match self {
            Scale::Time => 1e9,
            Scale::Number => 1.0,
        }
    }
}

/// The sum of histograms of one scale, as it was when they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    scale: Scale,
    buckets: [u64; BUCKETS],
    sum: u64,
}

impl HistogramSnapshot {
    /// A snapshot without values.
    #[must_use]
    pub fn new(scale: Scale) -> HistogramSnapshot {
        HistogramSnapshot { scale, buckets: [0; BUCKETS], sum: 0 }
    }

    /// Adds the values that `histogram` has now. Its writer goes on meanwhile, so the sum may be ahead of
    /// the buckets by a value, or behind.
    pub fn add(&mut self, histogram: &Histogram) {
        debug_assert_eq!(self.scale, histogram.scale, "histograms of two scales cannot be added");
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum = sum.wrapping_add(bucket.get());
        }
        self.sum = self.sum.wrapping_add(histogram.sum.get());
    }

    /// The upper bounds of the buckets, in seconds or things, each with the number of values that
    /// are not above it. Values above the last bound are in [`count`](HistogramSnapshot::count) alone.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let (first, unit) = (self.scale as usize, self.scale.unit());
        let mut below = 0_u64;
        self.buckets[..BUCKETS - 1].iter().enumerate().map(move |(index, count)| {
            below = below.wrapping_add(*count);
            ((1_u64 << (first + index)) as f64 / unit, below)
        })
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// The sum of the values, in seconds or things.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.scale.unit()
    }

    /// An upper bound, in seconds or things, of the smallest `share` (0 to 1) of the values: that
    /// of the bucket which holds the last of them. Infinite if it is above the last bound; 0 if
    /// there are no values.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let count = self.count();
        if count == 0 {
            return 0.0;
        }
        let wanted = (share.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        self.cumulative()
            .find(|&(_, below)| below >= wanted)
            .map_or(f64::INFINITY, |(bound, _)| bound)
    }
}

/// The last one is for values above all bounds.
const BUCKETS: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_above_to_the_next() {
        for (value, bucket) in [(0, 0), (1, 0), (1024, 0), (1025, 1), (2048, 1), (2049, 2)] {
            assert_eq!(Scale::Time.bucket(value), bucket, "{value}");
        }
        for (value, bucket) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6)] {
            assert_eq!(Scale::Number.bucket(value), bucket, "{value}");
        }
        assert_eq!(Scale::Time.bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(Scale::Time.bucket(1 << 36), BUCKETS - 2);
        assert_eq!(Scale::Time.bucket((1 << 36) + 1), BUCKETS - 1);
        assert_eq!(Scale::Number.bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(Scale::Number.bucket(1 << 26), BUCKETS - 2);
        assert_eq!(Scale::Number.bucket((1 << 26) + 1), BUCKETS - 1);
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn quantiles_and_sums_of_several_histograms_are_those_of_all_their_values() {
        let (one, other) = (Histogram::new(Scale::Time), Histogram::new(Scale::Time));
        (0..98).for_each(|_| one.record(2_000));
        other.record(1_000_000);
        other.record(u64::MAX / 4);
        let mut all = HistogramSnapshot::new(Scale::Time);
        all.add(&one);
        all.add(&other);
        assert_eq!(all.count(), 100);
        assert_eq!(all.quantile(0.5), 2048e-9);
        assert_eq!(all.quantile(0.99), 1_048_576e-9);
        assert_eq!(all.quantile(1.0), f64::INFINITY);
        let (last, below) = all.cumulative().last().unwrap();
        assert_eq!((last, below), ((1_u64 << 36) as f64 / 1e9, 99));
        assert_eq!(HistogramSnapshot::new(Scale::Time).quantile(0.5), 0.0);
    }
}
