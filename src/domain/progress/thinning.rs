//! Letting go of every second of what has become too many.

/// Keeps the first, the third and so on, and no more room than they need.
pub(super) fn keep_every_second<T>(all: &mut Vec<T>) {
    let mut place = 0;
    all.retain(|_| {
        place += 1;
        place % 2 == 1
    });
    all.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_two_stays() {
        let mut all = vec![1, 2, 3, 4, 5];
        keep_every_second(&mut all);
        assert_eq!(all, [1, 3, 5]);
        keep_every_second(&mut all);
        assert_eq!(all, [1, 5]);
    }
}
