//! Finds out which webhooks a job owes, by looking at it at the moments when that can change.

use actix_web::web::Bytes;
use chrono::{DateTime, Utc};

use super::courier::Outgoing;
use super::job::{Job, Motion};
use super::ledger::OrderKey;
use super::options::SimulatorError;
use super::seed;
use super::state::{Shared, State};
use super::status::Status;
use super::webhooks::{News, Subscription, WebhookEvent};

impl Shared {
    /// Sends a webhook with the job as it is now, whatever was sent before.
    pub(super) fn send_webhook(&self, id: &str, event: WebhookEvent) -> Result<(), SimulatorError> {
        let state = self.lock();
        let key = state.ledger.key(id);
        let job = key.and_then(|key| state.ledger.get(key));
        let job = job.ok_or_else(|| SimulatorError::UnknownJob(id.to_owned()))?;
        self.hand_out(job, &[event], Utc::now());
        Ok(())
    }

    /// Looks at every job whose moment has come, and answers when the next one comes.
    pub(super) fn look_at_due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut state = self.lock();
        let mut has_changed = false;
        while let Some(&(due_at, key)) = state.looks.first().filter(|(due_at, _)| *due_at <= now) {
            state.looks.pop_first();
            // As of its own moment, not of now: a late timer must not skip a start.
            self.look(&mut state, key, due_at);
            has_changed = true;
        }
        let next = state.looks.first().map(|(due_at, _)| *due_at);
        drop(state);
        if has_changed {
            self.announce();
        }
        next
    }

    /// Hands out the webhooks a job owes at `at`, and plans the next look at it.
    pub(super) fn look(&self, state: &mut State, key: OrderKey, at: DateTime<Utc>) {
        let Some(job) = state.ledger.get_mut(key) else {
            return;
        };
        let Some(mut subscription) = job.subscription.take() else {
            return;
        };
        let news = news(job, subscription.wants(WebhookEvent::Logs), at);
        let due = subscription.take_due(news, at);
        let next_look_at = next_look(job, &subscription, news, at, due.again_at);
        // What changed may have made the old plan wrong.
        let planned_at = std::mem::replace(&mut subscription.next_look_at, next_look_at);
        job.subscription = Some(subscription);
        self.hand_out(job, &due.events, at);
        if let Some(planned_at) = planned_at {
            state.looks.remove(&(planned_at, key));
        }
        state.looks.extend(next_look_at.map(|next_look_at| (next_look_at, key)));
    }

    fn hand_out(&self, job: &Job, events: &[WebhookEvent], at: DateTime<Utc>) {
        let Some(subscription) = &job.subscription else {
            return;
        };
        if events.is_empty() {
            return;
        }
        let view = self.site.show(job, at);
        let Ok(body) = serde_json::to_vec(&view).map(Bytes::from) else {
            return;
        };
        for event in events {
            let outgoing = Outgoing {
                job_id: job.id.clone(),
                event: *event,
                status: job.at(at).status,
                url: subscription.url.clone(),
                webhook_id: format!("msg_{}", seed::new_id()),
                body: body.clone(),
            };
            self.outstanding.send_modify(|count| *count += 1);
            if self.outgoing.send(outgoing).is_err() {
                // The courier is gone: the simulator is stopping, and nobody waits for this one.
                self.outstanding.send_modify(|count| *count -= 1);
            }
        }
    }
}

fn news(job: &Job, wants_logs: bool, at: DateTime<Utc>) -> News {
    let moment = job.at(at);
    News {
        is_running: moment.status == Status::Processing,
        has_ended: moment.status.is_terminal(),
        has_output: !moment.output.is_null(),
        // Writing a log costs more than all the rest: only for those who read it.
        log_bytes: if wants_logs { job.log_at(at).len() } else { 0 },
    }
}

/// When a job must be looked at again; a manual one only if news had to wait.
fn next_look(
    job: &Job,
    subscription: &Subscription,
    news: News,
    at: DateTime<Utc>,
    again_at: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    if news.has_ended {
        return None;
    }
    let grows_by_itself = news.is_running && matches!(job.motion, Motion::Scripted { .. });
    let changes = [job.starts_at(), job.ends_at().map(|(end, _)| end)].into_iter().flatten();
    let growth = grows_by_itself.then(|| subscription.next_partial_at(at)).flatten();
    changes.filter(|change| *change > at).chain(growth).chain(again_at).min()
}
