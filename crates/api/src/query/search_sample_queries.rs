use opentrail_queries::samples;
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{
    SearchSampleQueriesInput, SearchSampleQueriesOutput, SearchSampleQueriesSearchResult,
};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Samples of a page, unless the request says otherwise. (API Reference, SearchSampleQueries, `MaxResults`.)
const PAGE: usize = 10;

/// Sample queries that have to do with a phrase, the best first.
pub(crate) async fn search_sample_queries(
    cx: Context<'_>,
    input: SearchSampleQueriesInput,
) -> Outcome<SearchSampleQueriesOutput> {
    cx.authorize(Access::anywhere("SearchSampleQueries"))?;
    let from: usize = match input.next_token.as_deref() {
        // The operation declares no error of its own for a bad token.
        Some(token) => page_token::redeem(&cx, "SearchSampleQueries", &input.search_phrase, token)
            .map_err(|error| Exception::invalid_parameter(error.to_string()))?,
        None => 0,
    };
    let page = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let found = samples::search(&input.search_phrase);
    let next = from + page;
    let next_token =
        (next < found.len()).then(|| page_token::issue(&cx, "SearchSampleQueries", &input.search_phrase, &next));
    let result = |(sample, relevance): (&samples::Sample, f64)| SearchSampleQueriesSearchResult {
        name: Some(sample.name.clone()),
        description: Some(sample.description.clone()),
        sql: Some(sample.sql.clone()),
        relevance: Some(relevance),
    };
    let results = found.into_iter().skip(from).take(page).map(result).collect();
    Ok(SearchSampleQueriesOutput { search_results: Some(results), next_token })
}
