//! What SimpleTuner's clients call the things that people are told of.

use super::Topic;

/// One of the things that people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// Its name on the wire: SimpleTuner's own where it has one.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Under which heading clients list it.
    pub category: &'static str,
    /// What it means, in at most forty characters: clients cut the rest.
    pub description: &'static str,
    /// The topic of a channel by which it is told.
    pub topic: Topic,
    /// What messages about it call it.
    kind: &'static str,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::job("completed", Topic::Completed, "job.completed", "A job ended well"),
        Self::job("failed", Topic::Failed, "job.failed", "A job ended with an error"),
        Self::job("cancelled", Topic::Cancelled, "job.cancelled", "A job was cancelled"),
        Self::job("stalled", Topic::Stalled, "job.stalled", "A running job takes no more steps"),
        Self::job("gone", Topic::Gone, "job.gone", "The provider does not know a job"),
        Self::job(
            "loss not finite",
            Topic::LossNotFinite,
            "job.loss_not_finite",
            "The loss of a job is no number",
        ),
        Self::cost("cost warning", "cost.warning", "budget.warning", "A limit on spending is near"),
        Self::cost("cost exceeded", "cost.exceeded", "budget.exceeded", "A limit is reached"),
    ];

    const fn job(
        name: &'static str,
        topic: Topic,
        id: &'static str,
        description: &'static str,
    ) -> Self {
        Self { id, name, category: "Job Lifecycle", description, topic, kind: id }
    }

    const fn cost(
        name: &'static str,
        id: &'static str,
        kind: &'static str,
        description: &'static str,
    ) -> Self {
        let (category, topic) = ("Quota & Billing", Topic::Budget);
        Self { id, name, category, description, topic, kind }
    }

    /// What clients call a message of this kind; a test or a digest goes by its own name.
    pub fn id_of(kind: &str) -> &str {
        let known = Self::ALL.iter().find(|event| event.kind == kind);
        known.map_or(kind, |event| event.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_name_that_clients_know() {
        for (word, topic) in Topic::ALL {
            assert!(EventType::ALL.iter().any(|event| event.topic == topic), "{word}");
        }
        assert!(EventType::ALL.iter().all(|event| event.description.len() <= 40));
        assert_eq!(EventType::id_of("budget.exceeded"), "cost.exceeded");
        assert_eq!(EventType::id_of("job.gone"), "job.gone");
        assert_eq!(EventType::id_of("digest"), "digest");
    }
}
