//! The cheapest set of calls for a round of polling (`design.md`, "A round of polling").
//!
//! One page of the provider's list shows a hundred jobs, newest first; one GET shows one. A round
//! costs `k` pages and one GET for each job that is not on them, so the cheapest `k` follows from
//! where the jobs stand in the list.

/// How many jobs a page of the provider's list shows.
pub const PAGE_SIZE: usize = 100;

/// How many pages of the list, from its newest end, a round had best read. The jobs that are not
/// on them are asked for one by one.
///
/// `positions` holds for each job its place in the list, 0 for the newest; None where the job is
/// not known to be in the list. Where two numbers of pages cost the same, the lesser is chosen.
pub fn cheapest_page_count(positions: &[Option<usize>]) -> usize {
    let mut on_page = vec![0; positions.len() + 1];
    for page in positions.iter().flatten().map(|position| position / PAGE_SIZE) {
        // Reading as many pages as there are jobs is never cheaper than asking for each.
        if let Some(count) = on_page.get_mut(page) {
            *count += 1;
        }
    }
    let mut cheapest = (positions.len(), 0);
    let mut found = 0;
    for (page, count) in on_page.into_iter().enumerate() {
        found += count;
        let pages = page + 1;
        cheapest = cheapest.min((pages + positions.len() - found, pages));
    }
    cheapest.1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost(positions: &[Option<usize>], pages: usize) -> usize {
        let found = positions.iter().flatten().filter(|position| **position < pages * PAGE_SIZE);
        pages + positions.len() - found.count()
    }

    #[test]
    fn nothing_to_ask_costs_nothing() {
        assert_eq!(cheapest_page_count(&[]), 0);
    }

    #[test]
    fn one_job_is_asked_for_by_itself() {
        assert_eq!(cheapest_page_count(&[Some(0)]), 0);
    }

    #[test]
    fn an_account_that_only_trains_costs_one_call_a_hundred_jobs() {
        let positions: Vec<_> = (0..200).map(Some).collect();
        assert_eq!(cheapest_page_count(&positions), 2);
    }

    #[test]
    fn a_few_jobs_deep_in_the_list_are_asked_for_by_themselves() {
        let positions: Vec<_> = (0..50).chain([5_000, 7_000]).map(Some).collect();
        assert_eq!(cheapest_page_count(&positions), 1);
    }

    #[test]
    fn jobs_that_are_not_in_the_list_are_asked_for_by_themselves() {
        assert_eq!(cheapest_page_count(&[None, None, None]), 0);
    }

    proptest! {
        #[test]
        fn no_number_of_pages_is_cheaper(
            positions in prop::collection::vec(prop::option::of(0_usize..3_000), 0..60),
        ) {
            let chosen = cost(&positions, cheapest_page_count(&positions));
            for pages in 0..40 {
                prop_assert!(chosen <= cost(&positions, pages));
            }
        }

        #[test]
        fn a_round_never_costs_more_than_one_call_a_job(
            positions in prop::collection::vec(prop::option::of(0_usize..3_000), 0..60),
        ) {
            prop_assert!(cost(&positions, cheapest_page_count(&positions)) <= positions.len());
        }
    }
}
