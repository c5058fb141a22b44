//! The only mailbox code that a handler uses.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use tokio::sync::Semaphore;

use super::error::ApiError;

/// How many questions may be on their way to actors at a time. A mailbox's own capacity would not
/// bound them: it binds only `try_send` on a reused address.
const QUESTIONS_MAX: usize = 4_096;

/// Asks actors on behalf of handlers.
#[derive(Clone)]
pub(super) struct Asker {
    permits: Arc<Semaphore>,
    answer_within: Duration,
    provider_within: Duration,
}

impl Asker {
    /// An asker that waits for an answer for so long, where a provider may take `provider_within`
    /// for a call.
    pub(super) fn new(answer_within: Duration, provider_within: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(QUESTIONS_MAX)), answer_within, provider_within }
    }

    /// Asks `actor` and waits for its answer.
    ///
    /// # Errors
    /// The actor's own, or that it is busy or stopping. A question that is answered too late has
    /// been heard all the same.
    pub(super) async fn ask<A, M, T, E>(&self, actor: &Addr<A>, message: M) -> Result<T, ApiError>
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        self.ask_within(self.answer_within, actor, message).await
    }

    /// The same where the answer takes calls to a provider: whoever is cut short by our own patience
    /// never learns that it was the provider who was silent.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn ask_abroad<A, M, T, E>(
        &self,
        actor: &Addr<A>,
        message: M,
    ) -> Result<T, ApiError>
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        // A round may wait for the one under way.
        let within = self.answer_within + 2 * self.provider_within;
        self.ask_within(within, actor, message).await
    }

    /// The same for what is known to take its time.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn ask_within<A, M, T, E>(
        &self,
        answer_within: Duration,
        actor: &Addr<A>,
        message: M,
    ) -> Result<T, ApiError>
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| ApiError::Busy)?;
        let question = actor.send(message);
        // Spawned, so that a client that hangs up does not take back a question that waits in the
        // mailbox. The permit is held for as long as the question is on its way.
        let answer = actix_web::rt::spawn(async move {
            let answer = question.await;
            drop(permit);
            answer
        });
        match tokio::time::timeout(answer_within, answer).await {
            Ok(Ok(Ok(answer))) => answer.map_err(Into::into),
            Ok(_) | Err(_) => Err(ApiError::Busy),
        }
    }
}
