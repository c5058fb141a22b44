//! How a job of the provider turns out to be one that was submitted here.

use super::Recorder;
use crate::db::error::StoreError;
use crate::db::{jobs, queue};
use crate::domain::event::Event;
use crate::domain::job::{Job, JobId};
use crate::domain::job_view::JobView;
use crate::domain::observation::{Observation, Source};

impl Recorder<'_> {
    /// Joins what the provider has with the job of ours that it is said to be. `known` is what we know of
    /// it under the provider's own name: somebody may have told us of it before we heard whose it is.
    pub(super) fn join(
        &mut self,
        job_id: &JobId,
        said: &Observation,
        known: Option<Job>,
    ) -> Result<Option<Job>, StoreError> {
        let Some(ours) = jobs::find(self.connection, job_id)? else { return Ok(known) };
        if ours.provider_job_id.as_ref() == Some(&said.provider_job_id) {
            return Ok(Some(ours));
        }
        let is_free = ours.provider_job_id.is_none() && ours.status.is_active();
        let is_known_as_another = known.as_ref().is_some_and(Job::is_submitted);
        if !is_free || is_known_as_another || ours.provider != said.provider {
            // It is followed as a job of its own, so that nothing runs unseen.
            log::error!(
                "{} {} is said to be job {job_id}, which is {} and is {:?} there",
                said.provider,
                said.provider_job_id,
                ours.status,
                ours.provider_job_id,
            );
            return Ok(known);
        }
        let twin = known.as_ref();
        if let Some(twin) = twin {
            jobs::move_belongings(self.connection, &twin.job_id, job_id)?;
            jobs::remove(self.connection, &twin.job_id)?;
            let gone = Event::JobDeleted { job_id: &twin.job_id, merged_into: Some(job_id) };
            self.log.append(self.connection, &gone)?;
        }
        jobs::attach(self.connection, job_id, &said.provider_job_id)?;
        self.has_written = true;
        let followed = queue::accept(self.connection, job_id, self.now)?;
        queue::tell(self.connection, &mut self.log, "accepted", followed.as_ref())?;
        let attached = Job { provider_job_id: Some(said.provider_job_id.clone()), ..ours };
        match known {
            None => Ok(Some(attached)),
            Some(twin) => self.take_over(attached, twin).map(Some),
        }
    }

    /// All that was said of a job under the provider's name is now of ours.
    fn take_over(&mut self, ours: Job, twin: Job) -> Result<Job, StoreError> {
        let mut job = Job {
            job_id: ours.job_id.clone(),
            config_name: ours.config_name.clone().or(twin.config_name.clone()),
            run_name: ours.run_name.clone().or(twin.run_name.clone()),
            user_id: ours.user_id.clone(),
            model: ours.model.clone().or(twin.model.clone()),
            cancel_requested_at: ours.cancel_requested_at.or(twin.cancel_requested_at),
            ..twin
        };
        self.prices.apply(&mut job);
        jobs::update(self.connection, &ours, &job)?;
        let (job_id, status, source) = (&job.job_id, job.status, Source::Queue);
        let view = JobView::new(&job, self.prices, self.now);
        let event = if status == ours.status {
            Event::JobUpdated { job_id, status, source, job: view }
        } else {
            Event::JobStatusChanged { job_id, status, previous: ours.status, source, job: view }
        };
        self.log.append(self.connection, &event)?;
        if status != ours.status {
            self.follow_in_queue(&job)?;
        }
        Ok(job)
    }
}
