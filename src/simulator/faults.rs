//! Scripted faults: what shall go wrong, on which calls and how often. Pure; `front` and `courier` act.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::webhooks::WebhookEvent;

/// A planned failure of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls: a method and a path without `/v1`, each of which may be `*`. The path is that of a
    /// route (`GET /predictions/{id}`) or of one job (`GET /predictions/abc`).
    pub route: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many calls it meets before it is used up.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the call takes effect first: a create that is accepted and then answered by a 502.
    #[serde(default)]
    pub after_effect: bool,
}

/// What can go wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The answer comes late, but is the right one.
    Delay {
        /// By how much.
        milliseconds: u64,
    },
    /// 429.
    Throttled {
        /// The value of `Retry-After`; without it there is no such header.
        retry_after_seconds: Option<u64>,
    },
    /// A failure of the server, or of a proxy before it.
    ServerError {
        /// 400 to 599.
        status: u16,
        /// What the answer holds.
        body: ErrorBody,
    },
    /// 401, although the token is right.
    Unauthorized,
    /// 404, although the job exists: seen right after a create.
    NotFound,
    /// The announced length is longer than what is sent before the connection closes.
    TruncatedBody,
    /// A complete answer whose JSON stops half way.
    CutJson,
    /// 200 with bytes that are not JSON, and not even UTF-8.
    Garbage,
    /// The connection is reset without an answer.
    Reset,
    /// No answer, ever.
    Hang,
}

/// What the answer of a failing server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// `application/problem+json`.
    Problem,
    /// The HTML page of a proxy.
    Html,
    /// Nothing.
    Empty,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that meets the next call to `route` and takes the place of its effect.
    pub fn new(route: &str, kind: FaultKind) -> Self {
        Self { route: route.to_owned(), kind, times: 1, after_effect: false }
    }

    /// Meets so many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Lets the call take effect first.
    #[must_use]
    pub fn after_effect(self) -> Self {
        Self { after_effect: true, ..self }
    }

    fn meets(&self, method: &str, template: &str, path: &str) -> bool {
        let (wanted_method, wanted_path) = self.route.split_once(' ').unwrap_or(("*", &self.route));
        let is_method = wanted_method == "*" || wanted_method == method;
        is_method && (wanted_path == "*" || wanted_path == template || wanted_path == path)
    }
}

/// A planned failure of webhook delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookFault {
    /// Which webhooks; without it any.
    #[serde(default)]
    pub event: Option<WebhookEvent>,
    /// What goes wrong.
    pub kind: WebhookFaultKind,
    /// How many webhooks it meets before it is used up.
    #[serde(default = "once")]
    pub times: u32,
}

/// What can go wrong with a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFaultKind {
    /// It is never sent.
    Drop,
    /// It is sent twice, with the same id.
    Duplicate,
    /// It is sent after the next one of the same job: the two change places.
    HoldBack,
    /// It is sent late.
    Delay {
        /// By how much.
        milliseconds: u64,
    },
}

impl WebhookFault {
    /// A fault that meets the next webhook of this event, or of any.
    pub fn new(event: Option<WebhookEvent>, kind: WebhookFaultKind) -> Self {
        Self { event, kind, times: 1 }
    }
}

/// The faults that are still to come, first in first out.
#[derive(Debug, Default)]
pub(super) struct FaultQueue {
    calls: VecDeque<Fault>,
    webhooks: VecDeque<WebhookFault>,
}

impl FaultQueue {
    pub(super) fn push(&mut self, fault: Fault) {
        self.calls.push_back(fault);
    }

    pub(super) fn push_webhook(&mut self, fault: WebhookFault) {
        self.webhooks.push_back(fault);
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.webhooks.clear();
    }

    /// Uses up one turn of the first fault that meets this call.
    pub(super) fn take(&mut self, method: &str, template: &str, path: &str) -> Option<Fault> {
        let is_met = |fault: &Fault| fault.meets(method, template, path);
        take_turn(&mut self.calls, is_met, |fault| &mut fault.times)
    }

    /// Uses up one turn of the first fault that meets this webhook.
    pub(super) fn take_webhook(&mut self, event: WebhookEvent) -> Option<WebhookFaultKind> {
        let is_met = |fault: &WebhookFault| fault.event.is_none_or(|wanted| wanted == event);
        take_turn(&mut self.webhooks, is_met, |fault| &mut fault.times).map(|fault| fault.kind)
    }
}

fn take_turn<T: Clone>(
    queue: &mut VecDeque<T>,
    is_met: impl Fn(&T) -> bool,
    times: impl Fn(&mut T) -> &mut u32,
) -> Option<T> {
    let index = queue.iter().position(is_met)?;
    let fault = queue.get_mut(index)?;
    let turns = times(fault);
    *turns = turns.saturating_sub(1);
    if *turns == 0 { queue.remove(index) } else { Some(fault.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_its_route_as_often_as_told() {
        let mut queue = FaultQueue::default();
        queue.push(Fault::new("GET /predictions/{id}", FaultKind::Hang).times(2));
        let mut take = |method| queue.take(method, "/predictions/{id}", "/predictions/a").is_some();
        assert!(!take("POST"));
        assert_eq!([take("GET"), take("GET"), take("GET")], [true, true, false]);
    }

    #[test]
    fn a_fault_can_be_for_one_job_or_for_every_call() {
        let mut queue = FaultQueue::default();
        queue.push(Fault::new("* /predictions/b", FaultKind::Reset));
        queue.push(Fault::new("*", FaultKind::Hang));
        let mut take = |path| queue.take("GET", "/predictions/{id}", path).map(|fault| fault.kind);
        assert_eq!(take("/predictions/a"), Some(FaultKind::Hang));
        assert_eq!(take("/predictions/b"), Some(FaultKind::Reset));
    }
}
