use opentrail_generate::{Question, Refusal, Rejected};
use opentrail_queries::PlanError;
use opentrail_stores::{EventDataStore, Kind};
use opentrail_wire::cloudtrail::{GenerateQueryInput, GenerateQueryOutput};

use crate::context::{Context, Outcome};

/// Makes a statement of a question in English, and keeps it under an alias that StartQuery runs.
///
/// Whatever made the statement, it is handed on only if StartQuery would take it, and if it reads the store that was
/// asked about and no other.
pub(crate) async fn generate_query(cx: Context<'_>, input: GenerateQueryInput) -> Outcome<GenerateQueryOutput> {
    let [store] = &input.event_data_stores[..] else { unreachable!("the input's constraints were checked") };
    let store = cx.authorize_store("GenerateQuery", store).await?.require_active()?.value;
    if store.kind() != Kind::CloudTrail {
        let message = format!("{} has no CloudTrail events: queries are generated over those only.", store.arn());
        return Err(Refusal(message).into());
    }
    let statement = cx.generate(&input.prompt, &store).await?;
    let generated = cx.services.queries.keep_generated(store.key.clone(), input.prompt, statement).await?;
    Ok(GenerateQueryOutput {
        query_statement: Some(generated.statement),
        query_alias: Some(generated.alias),
        event_data_store_owner_account_id: Some(store.key.account.to_string()),
    })
}

impl Context<'_> {
    /// A statement that can be run; what can learn from its mistake is asked a second time.
    async fn generate(&self, prompt: &str, store: &EventDataStore) -> Outcome<String> {
        let generator = &self.services.generator;
        let mut question = Question { prompt, store: store.key.id, now: self.now(), rejected: None };
        let first = generator.generate(&question).await?;
        let Err(reason) = self.fits(&first, store).await? else { return Ok(first) };
        if !generator.learns() {
            return Err(no_statement(&reason).into());
        }
        question.rejected = Some(Rejected { statement: &first, reason: &reason });
        let second = generator.generate(&question).await?;
        match self.fits(&second, store).await? {
            Ok(()) => Ok(second),
            Err(reason) => Err(no_statement(&reason).into()),
        }
    }

    /// Whether a statement can be run over the store, and reads nothing else; if not, why.
    async fn fits(&self, statement: &str, store: &EventDataStore) -> Outcome<Result<(), String>> {
        let stores = match self.services.queries.stores_of(statement) {
            Ok(stores) => stores,
            Err(invalid) => return Ok(Err(invalid.to_string())),
        };
        if stores.len() != 1 || !stores.contains(&store.key.id) {
            return Ok(Err(format!("the statement must read {} and nothing else", store.key.id)));
        }
        match self.services.queries.check(statement, std::slice::from_ref(&store.key)).await {
            Ok(()) => Ok(Ok(())),
            Err(PlanError::Statement(invalid)) => Ok(Err(invalid.to_string())),
            Err(unavailable) => Err(unavailable.into()),
        }
    }
}

fn no_statement(reason: &str) -> Refusal {
    Refusal(format!("No statement was found that can be run: {reason}."))
}
