use std::sync::Arc;
use std::time::Duration;

use opentrail_model::Position;
use opentrail_runtime::{Clock, Shutdown};
use tracing::{error, warn};

use crate::{Feed, Progress, Projection, ProjectionError};

/// How often a projection without new entries is asked to flush.
const IDLE: Duration = Duration::from_millis(500);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Drives `projection` along `feed` until the shutdown begins, then lets it finish.
///
/// An error that may pass is tried again with growing delays, from the position that the output reflects.
///
/// # Errors
/// A fatal [`ProjectionError`], or a journal that cannot be read.
pub async fn run(
    mut projection: impl Projection,
    feed: Arc<Feed>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), ProjectionError> {
    let name = projection.name();
    let mut delay = FIRST_RETRY;
    // Registered before the output is even looked at, and kept through retries: meanwhile nothing is trimmed away.
    let progress = feed.follow(name.clone(), feed.journal().trimmed());
    'resume: while !shutdown.has_begun() {
        let mut read = match projection.resume().await {
            Ok(position) => position,
            Err(error) => {
                pause(&name, error, &mut delay, &*clock, &shutdown).await?;
                continue;
            }
        };
        progress.advance(read);
        loop {
            let applied = tokio::select! {
                biased;
                () = shutdown.begun() => break 'resume,
                batch = progress.next(read) => {
                    let batch = batch.map_err(ProjectionError::fatal)?;
                    read = batch.through;
                    projection.apply(&batch).await
                }
                () = clock.sleep(IDLE) => projection.idle(clock.now()).await,
            };
            match applied {
                Ok(durable) => {
                    progress.advance(durable);
                    delay = FIRST_RETRY;
                }
                Err(error) => {
                    pause(&name, error, &mut delay, &*clock, &shutdown).await?;
                    continue 'resume;
                }
            }
        }
    }
    catch_up_and_finish(projection, &progress).await
}

/// What was acknowledged before the shutdown is folded in before the end.
async fn catch_up_and_finish(mut projection: impl Projection, progress: &Progress) -> Result<(), ProjectionError> {
    let mut read: Position = projection.finish().await?;
    while let Some(batch) = progress.try_next(read).await.map_err(ProjectionError::fatal)? {
        read = batch.through;
        projection.apply(&batch).await?;
    }
    projection.finish().await.map(drop)
}

async fn pause(
    name: &str,
    error: ProjectionError,
    delay: &mut Duration,
    clock: &dyn Clock,
    shutdown: &Shutdown,
) -> Result<(), ProjectionError> {
    metrics::counter!("opentrail_projection_failures_total", "projection" => name.to_owned()).increment(1);
    if error.fatal {
        error!(projection = name, %error, "projection cannot go on");
        return Err(error);
    }
    warn!(projection = name, %error, delay_ms = delay.as_millis() as u64, "projection failed and will be tried again");
    tokio::select! {
        () = clock.sleep(*delay) => {}
        () = shutdown.begun() => {}
    }
    *delay = (*delay * 2).min(LONGEST_RETRY);
    Ok(())
}
