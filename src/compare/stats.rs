//! Several measurements of one thing in three numbers.

use serde::Serialize;

/// Median and quartiles. The middle half of all measurements lies between `low` and `high`.
///
/// The median and not the mean: on a machine that does other work too, some runs are disturbed, and always in
/// the same direction. The quartiles and not the extremes, for the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    /// The first quartile.
    pub low: f64,
    /// The third quartile.
    pub high: f64,
    /// How many measurements there were.
    pub runs: usize,
}

impl Spread {
    /// Of measurements in any order; `None` if there are none.
    pub fn of(measured: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = measured.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |part| quantile(&sorted, part);
        Some(Spread {
            median: quantile(0.5)?,
            low: quantile(0.25)?,
            high: quantile(0.75)?,
            runs: sorted.len(),
        })
    }
}

/// The value that `part` (0 to 1) of the sorted values lie below, between two of them in proportion (type 7 of
/// Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996).
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (below, above) = (sorted.get(below)?, sorted.get(above)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_run_moves_neither_median_nor_quartiles_far() {
        let calm = Spread::of([4.0, 1.0, 3.0, 2.0, 5.0]).unwrap();
        assert_eq!(calm, Spread { median: 3.0, low: 2.0, high: 4.0, runs: 5 });
        let disturbed = Spread::of([4.0, 1.0, 3.0, 2.0, 5000.0]).unwrap();
        assert_eq!(disturbed, calm);
    }

    #[test]
    fn between_two_measurements_it_is_in_proportion() {
        assert_eq!(Spread::of([1.0, 3.0]), Some(Spread { median: 2.0, low: 1.5, high: 2.5, runs: 2 }));
        let alone = Spread { median: 7.0, low: 7.0, high: 7.0, runs: 1 };
        assert_eq!(Spread::of([7.0]), Some(alone));
        assert_eq!(Spread::of([]), None);
    }
}
