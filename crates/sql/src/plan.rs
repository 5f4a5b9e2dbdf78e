//! From a statement and the tables of its stores to a plan.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement as Parsed;
use opentrail_model::Timestamp;
use uuid::Uuid;

use crate::crew::Crews;
use crate::engine::{Engine, Spilling};
use crate::equality::order_maps;
use crate::error::StatementError;
use crate::functions::{self, Functions};
use crate::headings::headings;
use crate::lists::compare_lists;
use crate::relations::LakeRelations;
use crate::rewrite::rewrite;
use crate::rows::Rows;
use crate::statement::{Statement, marked_store};
use crate::statistics::ScanStatistics;
use crate::store::StoreTable;
use crate::{bounds, operators};

/// A statement planned over tables, ready to run.
pub struct Query {
    pub(crate) plan: LogicalPlan,
    pub(crate) columns: Vec<String>,
    pub(crate) state: SessionState,
    pub(crate) statistics: Arc<ScanStatistics>,
    pub(crate) crews: Arc<Crews>,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").field("columns", &self.columns).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Query {
    /// The headings of the result, as Lake names them; two may be the same.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Starts the query on the engine's threads.
    ///
    /// # Cancellation
    ///
    /// Dropping [`Rows`] ends it.
    pub fn run(self) -> Rows {
        Rows::start(self)
    }
}

impl Engine {
    /// Finds the statement's columns, functions and types in `tables`; `now` is the current time all through the query.
    /// Takes milliseconds of CPU; not for an async worker.
    ///
    /// # Errors
    ///
    /// When a store has no table, or the statement does not fit the tables; the error's text is for the client.
    pub fn plan(
        &self,
        statement: &Statement,
        tables: BTreeMap<Uuid, Arc<dyn TableProvider>>,
        now: Timestamp,
    ) -> Result<Query, StatementError> {
        let statistics = Arc::new(ScanStatistics::default());
        let is_sealed =
            |table: &Arc<dyn TableProvider>| table.downcast_ref::<StoreTable>().is_some_and(StoreTable::is_sealed);
        let spilling = if tables.values().any(is_sealed) { Spilling::Forbidden } else { Spilling::Allowed };
        let state = self.state(Arc::clone(&statistics), spilling);
        let result = bounds::on_deep_stack(|| {
            let mut query = statement.query()?;
            let written = query.clone();
            rewrite(&mut query, now)?;
            let known = Known::new(&state, statement, &tables);
            let options = ParserOptions::new().with_map_string_types_to_utf8view(false);
            let planner = SqlToRel::new_with_options(&known, options);
            let plan = planner.sql_statement_to_plan(Parsed::Query(Box::new(query)))?;
            let fields: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
            let columns = headings(&written, &fields);
            let plan = order_maps(compare_lists(plan)?)?;
            // Types are checked here. Whoever waits for the processor does not wait for all the rules.
            let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| thread::yield_now())?;
            let plan = state.optimizer().optimize(plan, &state, |_, _| thread::yield_now())?;
            Ok((plan, columns))
        });
        let (plan, columns) = result.map_err(|error| locate(error, statement))?;
        Ok(Query { plan, columns, state, statistics, crews: Arc::clone(self.crews()) })
    }
}

/// Adds where the name stands that the planner did not find.
fn locate(error: StatementError, statement: &Statement) -> StatementError {
    match error {
        StatementError::UnknownColumn { name, location: None } => {
            let last = name.rsplit('.').next().unwrap_or_default();
            let location = statement.locate(last);
            StatementError::UnknownColumn { location, name }
        }
        other => other,
    }
}

/// What a statement can name: the tables of its stores and the functions of the dialect; nothing else.
struct Known<'a> {
    state: &'a SessionState,
    statement: &'a Statement,
    tables: HashMap<Uuid, Arc<dyn TableSource>>,
    functions: &'static Functions,
    planners: Vec<Arc<dyn ExprPlanner>>,
    relations: Vec<Arc<dyn RelationPlanner>>,
}

impl<'a> Known<'a> {
    fn new(state: &'a SessionState, statement: &'a Statement, tables: &BTreeMap<Uuid, Arc<dyn TableProvider>>) -> Self {
        let source = |(store, table): (&Uuid, &Arc<dyn TableProvider>)| (*store, provider_as_source(Arc::clone(table)));
        Self {
            state,
            statement,
            tables: tables.iter().map(source).collect(),
            functions: functions::all(),
            planners: operators::planners(),
            relations: vec![Arc::new(LakeRelations)],
        }
    }
}

impl ContextProvider for Known<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let TableReference::Bare { table } = &name else { return plan_err!("table '{name}' does not exist") };
        let store = marked_store(table).or_else(|| self.statement.named(table));
        match store.and_then(|store| self.tables.get(&store)) {
            Some(source) => Ok(Arc::clone(source)),
            None => Err(StatementError::UnknownTable { name: table.to_string(), location: None }.into()),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar.get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.functions.lambda.get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window.get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.functions.lambda.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.window.keys().cloned().collect()
    }
}
