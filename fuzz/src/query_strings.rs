//! The query string of the list of jobs: refused by the name of a field, or a query within bounds that
//! is the same when it is written out and read again.

use jobsyncd::domain::job_query::{JobQuery, JobSort, LIMIT_MAX};
use jobsyncd::http::error::ApiError;
use jobsyncd::http::parse_job_query;

const PROVIDERS: [&str; 1] = ["replicate"];
/// An error repeats a value, but not at length, in bytes.
const ERROR_BYTES_MAX: usize = 2_000;

pub fn check(data: &[u8]) {
    let query = String::from_utf8_lossy(data);
    match parse_job_query(&query, &PROVIDERS) {
        Ok(query) => check_query(&query),
        Err(error) => check_error(&error),
    }
}

fn check_query(query: &JobQuery) {
    assert!((1..=LIMIT_MAX).contains(&query.limit), "{query:?}");
    assert!(query.provider.as_deref().is_none_or(|name| !name.is_empty()), "{query:?}");
    assert!(query.text.as_deref().is_none_or(|text| !text.is_empty()), "{query:?}");
    let written = written(query);
    let read = parse_job_query(&written, &PROVIDERS);
    assert_eq!(read.as_ref().ok(), Some(query), "{written}: {read:?}");
}

fn written(query: &JobQuery) -> String {
    let statuses: Vec<_> = query.statuses.iter().map(|status| status.as_str()).collect();
    let sort = JobSort::ALL.into_iter().find(|(_, sort)| *sort == query.sort);
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    format!(
        "limit={}&offset={}&status={}&job_type={}&provider={}&q={}&sort={}",
        query.limit,
        query.offset,
        escaped(&statuses.join(",")),
        query.job_type.map_or("", |job_type| job_type.as_str()),
        escaped(query.provider.as_deref().unwrap_or_default()),
        escaped(query.text.as_deref().unwrap_or_default()),
        sort.expect("every order has a word").0,
    )
}

fn check_error(error: &ApiError) {
    let text = error.to_string();
    let field = match error {
        ApiError::UnknownValue { field, .. } => *field,
        ApiError::BadValue { field, .. } => field.as_str(),
        other => panic!("a query string is refused with {other:?}"),
    };
    let fields = ["limit", "offset", "status", "job_type", "provider", "sort"];
    assert!(fields.contains(&field) && text.starts_with(field), "{text}");
    assert!(text.len() <= ERROR_BYTES_MAX, "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
