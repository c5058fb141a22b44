//! One run: a provider, a network, a daemon and an auditor, all of one seed.

mod submissions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jobsyncd::db::observations::{Effect, Report, Subject};
use jobsyncd::db::queue::Claim;
use jobsyncd::domain::job::JobId;
use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::domain::poll_round::RoundScope;
use jobsyncd::domain::signature::SigningKey;
use jobsyncd::domain::timestamp::from_micros;
use rand::Rng as _;
use tempfile::TempDir;

use self::submissions::Learnt;
use crate::auditor::{Auditor, Objection, Truth};
use crate::climate::Climate;
use crate::daemon::{Answer, Called, Clocks, Crashed, Daemon, Webhook};
use crate::provider::{self, Provider, TrueJob};
use crate::tally::Tally;
use crate::world::{HOUR, MINUTE, Micros, SECOND, World};

/// How long a world is at the mercy of faults.
const STORMY_FOR: Micros = 8 * HOUR;
/// As long as the breaker leaves a provider alone, at the longest.
const LEFT_ALONE_FOR: Micros = 3 * MINUTE;
/// A provider repeats its last webhook of a job for so long.
const REPEATED_FOR: Micros = MINUTE;
/// A call that takes longer counts as failed.
const CALL_TIMEOUT: Micros = 30 * SECOND;

/// What can happen. What belongs to a daemon's life ends with it.
enum Happening {
    Make,
    Send { job: usize, attempt: u32 },
    Deliver { job: usize, attempt: u32, id: String, body: Vec<u8>, timestamp: Micros },
    Commit { life: u32 },
    Round { life: u32 },
    Reconcile { life: u32 },
    Answered { life: u32, found: Vec<Observation>, creates: bool },
    Sync { life: u32, cursor: Option<String> },
    Submit { number: usize, attempt: u32 },
    Look { life: u32 },
    Begin { submission: String, input: String },
    Submitted { life: u32, claim: Box<Claim>, learnt: Learnt },
    Jump,
    Trouble,
    Crash,
    Restart,
}

/// A webhook whose sender waits for its answer.
struct Pending {
    report: Report,
    job: usize,
    attempt: u32,
}

pub(crate) struct Simulation {
    world: World<Happening>,
    climate: Climate,
    provider: Provider,
    auditor: Auditor,
    daemon: Option<Daemon>,
    /// How often the daemon was started.
    life: u32,
    gathering: Vec<Pending>,
    /// Jobs that are being handed over, and since when it is not known of others whether they were.
    on_their_way: BTreeSet<JobId>,
    lost: BTreeMap<JobId, Micros>,
    /// Whether a submission has begun since the auditor looked.
    has_begun: bool,
    folder: TempDir,
    key: SigningKey,
    /// How far the clocks are from the true time.
    daemon_skew: Micros,
    provider_skew: Micros,
    failing_until: Micros,
    throttled_until: Micros,
    is_calm: bool,
    /// Whether the log of events may have grown since the auditor read it.
    has_news: bool,
    /// Whether a daemon has started that must know what the last one knew.
    has_come_back: bool,
    jobs_max: usize,
    /// How many jobs others have made.
    made: usize,
    tally: Tally,
    /// What happened, of every job; only kept where a run is looked into.
    trace: Option<Vec<String>>,
}

impl Simulation {
    pub(crate) fn new(seed: u64, jobs_max: usize, is_traced: bool) -> Self {
        let mut world = World::new(seed);
        let climate = Climate::random(&mut world);
        let skew = |world: &mut World<Happening>| {
            if world.chance(0.3) { world.random.random_range(-HOUR..HOUR) } else { 0 }
        };
        let (daemon_skew, provider_skew) = (skew(&mut world), skew(&mut world));
        Self {
            auditor: Auditor::new(climate.clock_jumps),
            climate,
            provider: Provider::default(),
            daemon: None,
            life: 0,
            gathering: Vec::new(),
            on_their_way: BTreeSet::new(),
            lost: BTreeMap::new(),
            has_begun: false,
            folder: in_memory_folder(),
            key: SigningKey::from_secret("whsec_c2ltdWxhdGVkLWZhdWx0cw==").expect("a secret"),
            daemon_skew,
            provider_skew,
            failing_until: 0,
            throttled_until: 0,
            is_calm: false,
            has_news: false,
            has_come_back: false,
            jobs_max,
            made: 0,
            tally: Tally::default(),
            trace: is_traced.then(Vec::new),
            world,
        }
    }

    /// What happened, as far as it was kept.
    pub(crate) fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// Runs until the faults stop and everything must be right.
    pub(crate) fn run(&mut self) -> Result<Tally, Objection> {
        let end = self.world.now() + STORMY_FOR;
        for what in [Happening::Restart, Happening::Make, Happening::Trouble, Happening::Crash] {
            self.world.plan(0, what);
        }
        self.world.plan(0, Happening::Submit { number: 0, attempt: 0 });
        if self.climate.clock_jumps {
            self.world.plan(0, Happening::Jump);
        }
        self.happen_until(end)?;
        self.calm_down()
    }

    fn happen_until(&mut self, until: Micros) -> Result<(), Objection> {
        while let Some(what) = self.world.next(until) {
            if self.happen(what) == Err(Crashed) {
                self.crash();
            }
            self.audit()?;
        }
        self.world.skip_to(until);
        Ok(())
    }

    /// What the auditor does after every step.
    fn audit(&mut self) -> Result<(), Objection> {
        if std::mem::take(&mut self.has_begun) {
            self.auditor.check_no_doubles(&self.provider)?;
        }
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let has_come_back = std::mem::take(&mut self.has_come_back);
        if std::mem::take(&mut self.has_news) || has_come_back {
            self.auditor.follow(daemon.connection(), &self.provider, self.world.now())?;
        }
        if has_come_back { self.auditor.check_acknowledged(&self.provider) } else { Ok(()) }
    }

    /// No fault from here on. When the provider is not left alone any more, a sync finds what was
    /// missed, and two rounds of polling confirm all of it.
    fn calm_down(&mut self) -> Result<Tally, Objection> {
        self.is_calm = true;
        self.restart();
        self.pass(LEFT_ALONE_FOR)?;
        self.sync(None);
        self.pass(Auditor::BETWEEN_ROUNDS)?;
        let since = self.world.now();
        for pause in [Auditor::BETWEEN_ROUNDS, 0] {
            let now = self.daemon_clock(self.world.now());
            self.round(&RoundScope::everything(from_micros(now)));
            self.pass(pause)?;
        }
        let now = self.world.now();
        let truth = Truth {
            provider: &self.provider,
            provider_skew: self.provider_skew,
            daemon_skew: self.daemon_skew,
            since,
            now,
        };
        let daemon = self.daemon.as_mut().expect("nothing kills it any more");
        self.auditor.check_everything(daemon.connection(), &truth)?;
        self.tally.transitions = self.provider.jobs.iter().map(|job| job.transitions(now)).sum();
        self.tally.undecided = self.auditor.undecided(&self.provider);
        (self.tally.events, self.tally.told) = (self.auditor.events, self.auditor.transitions);
        Ok(self.tally)
    }

    fn pass(&mut self, pause: Micros) -> Result<(), Objection> {
        self.happen_until(self.world.now() + pause)
    }

    fn happen(&mut self, what: Happening) -> Result<(), Crashed> {
        match what {
            Happening::Make => self.make_job(),
            Happening::Send { job, attempt } => self.send(job, attempt),
            Happening::Deliver { job, attempt, id, body, timestamp } => {
                self.deliver(job, attempt, id, body, timestamp);
            }
            Happening::Commit { life } if life == self.life => self.commit()?,
            Happening::Round { life } if life == self.life => {
                let now = self.daemon_clock(self.world.now());
                self.round(&RoundScope::routine(from_micros(now)));
                if let Some(pause) = self.climate.poll_every {
                    self.plan_in(pause + CALL_TIMEOUT, Happening::Round { life });
                }
            }
            Happening::Reconcile { life } if life == self.life => {
                let now = from_micros(self.daemon_clock(self.world.now()));
                let pause = self.climate.reconcile_every;
                self.round(&RoundScope::reconciliation(now, chrono::Duration::microseconds(pause)));
                self.plan_in(pause, Happening::Reconcile { life });
            }
            Happening::Answered { life, found, creates } if life == self.life => {
                self.record_answers(found, creates)?;
            }
            Happening::Sync { life, cursor } if life == self.life => self.sync(cursor.as_deref()),
            Happening::Submit { number, attempt } => self.submit(number, attempt)?,
            Happening::Look { life } if life == self.life => self.look()?,
            Happening::Begin { submission, input } => self.begin(submission, input),
            Happening::Submitted { life, claim, learnt } if life == self.life => {
                self.submitted(&claim, learnt)?;
            }
            Happening::Jump => self.jump(),
            Happening::Trouble => self.trouble(),
            Happening::Crash => {
                let pause = self.world.random.random_range(MINUTE..3 * HOUR);
                self.plan_in(pause, Happening::Crash);
                if !self.is_calm && self.daemon.is_some() && self.climate.crash > 0.0 {
                    return Err(Crashed);
                }
            }
            Happening::Restart => self.restart(),
            // Of a daemon that is no more.
            Happening::Commit { .. }
            | Happening::Round { .. }
            | Happening::Reconcile { .. }
            | Happening::Answered { .. }
            | Happening::Look { .. }
            | Happening::Submitted { .. }
            | Happening::Sync { .. } => {}
        }
        Ok(())
    }

    fn plan_in(&mut self, pause: Micros, what: Happening) {
        self.world.plan(self.world.now() + pause, what);
    }

    fn daemon_clock(&self, at: Micros) -> Micros {
        at + self.daemon_skew
    }

    fn clocks(&self) -> Clocks {
        let now = self.world.now();
        Clocks { time: self.daemon_clock(now), steady: now }
    }

    /// Whether a fault happens, and counts it.
    fn fails(&mut self, probability: f64) -> bool {
        let fails = !self.is_calm && self.world.chance(probability);
        self.tally.faults += u64::from(fails);
        fails
    }

    fn note(&mut self, words: impl FnOnce() -> String) {
        let now = self.world.now();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {}", from_micros(now).format("%H:%M:%S%.3f"), words()));
        }
    }

    // The provider and its webhooks.

    fn make_job(&mut self) {
        let number = self.provider.jobs.len();
        if self.made >= self.jobs_max {
            return;
        }
        let job = TrueJob::random(number, self.world.now(), &mut self.world.random);
        // Where jobs say of which submission they are, others may be given the same.
        let number = self.world.random.random_range(0..2 * provider::INPUTS);
        let input = provider::input(number);
        self.add(if self.climate.shows_submissions { TrueJob { input, ..job } } else { job });
        self.made += 1;
        let spacing = STORMY_FOR / self.jobs_max as Micros;
        let pause = self.world.random.random_range(0..2 * spacing);
        self.plan_in(pause, Happening::Make);
    }

    /// A job that is there from now on.
    fn add(&mut self, job: TrueJob) {
        self.note(|| format!("{} is made: {job:?}", job.id));
        let number = self.provider.jobs.len();
        if self.climate.webhooks {
            for moment in [job.started_at, job.ended_at].into_iter().flatten() {
                self.world.plan(moment, Happening::Send { job: number, attempt: 0 });
            }
        }
        self.provider.jobs.push(job);
    }

    /// The provider writes a webhook. It may leave late, which no signature shows.
    fn send(&mut self, number: usize, attempt: u32) {
        let (now, skew) = (self.world.now(), self.provider_skew);
        let job = &self.provider.jobs[number];
        let body = job.json(now, |moment| moment + skew, true).into_bytes();
        let id = format!("msg-{}-{}", job.id, job.word(now));
        let late = if self.fails(self.climate.late) { self.world.delay(HOUR) } else { 0 };
        self.plan_delivery(number, attempt, id, body, late);
    }

    /// On its way it may be lost, come twice, or so late that its signature is too old.
    fn plan_delivery(&mut self, job: usize, attempt: u32, id: String, body: Vec<u8>, late: Micros) {
        let timestamp = self.world.now() + late;
        for _ in 0..1 + u32::from(self.fails(self.climate.repeated)) {
            if self.fails(self.climate.lost) {
                self.not_answered(job, attempt);
                continue;
            }
            let longest = if self.fails(self.climate.late) { HOUR } else { 2 * SECOND };
            let at = timestamp + self.world.delay(longest);
            let (id, body) = (id.clone(), body.clone());
            self.world.plan(at, Happening::Deliver { job, attempt, id, body, timestamp });
        }
    }

    /// Only the last webhook of a job is sent again, and not for long.
    fn not_answered(&mut self, job: usize, attempt: u32) {
        let now = self.world.now();
        let ended_at = self.provider.jobs[job].ended_at;
        if ended_at.is_some_and(|ended_at| ended_at <= now && now < ended_at + REPEATED_FOR) {
            let pause = SECOND << attempt.min(6);
            self.plan_in(pause, Happening::Send { job, attempt: attempt + 1 });
        }
    }

    // The daemon's door.

    fn deliver(
        &mut self,
        job: usize,
        attempt: u32,
        id: String,
        mut body: Vec<u8>,
        timestamp: Micros,
    ) {
        self.tally.webhooks += 1;
        if self.fails(self.climate.cut) {
            body.truncate(self.world.random.random_range(0..body.len()));
        }
        let timestamp = ((timestamp + self.provider_skew) / SECOND).to_string();
        let signature = format!("v1,{}", self.key.sign(&id, &timestamp, &body));
        let webhook = Webhook { id, timestamp, signature, body };
        let now = self.daemon_clock(self.world.now());
        let understood = self.daemon.as_ref().map(|daemon| daemon.understand(&webhook, now));
        self.note(|| {
            let body = String::from_utf8_lossy(&webhook.body);
            format!("webhook {body}: {:?}", understood.as_ref().map(|read| read.as_ref().err()))
        });
        let submission = self.provider.jobs[job].submission.clone().map(JobId);
        match understood {
            Some(Ok(report)) => {
                // The URL names the submission.
                let subject = submission.map_or(Subject::AtProvider, Subject::Submission);
                let report = Report { subject, ..report };
                if self.gathering.is_empty() {
                    let pause = self.world.delay(20_000);
                    let life = self.life;
                    self.plan_in(pause, Happening::Commit { life });
                }
                self.gathering.push(Pending { report, job, attempt });
            }
            Some(Err(_)) | None => self.not_answered(job, attempt),
        }
    }

    /// Stores what has gathered, then answers each sender.
    fn commit(&mut self) -> Result<(), Crashed> {
        let gathered: Vec<_> = std::mem::take(&mut self.gathering);
        let waiting: Vec<_> =
            gathered.iter().map(|pending| (pending.job, pending.attempt)).collect();
        let reports: Vec<_> = gathered.into_iter().map(|pending| pending.report).collect();
        let stored = self.record(&reports);
        for (job, attempt) in waiting {
            // It is stored, and its sender does not hear of it.
            if stored.is_err() || self.fails(self.climate.answer_lost) {
                self.not_answered(job, attempt);
            }
        }
        stored
    }

    fn record_answers(&mut self, found: Vec<Observation>, creates: bool) -> Result<(), Crashed> {
        let source = if creates { Source::Sync } else { Source::Poll };
        // What is observed is observed when it arrives.
        let observed_at = from_micros(self.daemon_clock(self.world.now()));
        let reports: Vec<_> = found
            .into_iter()
            .map(|seen| Observation { source, observed_at, ..seen })
            .map(|seen| Report::of_call(seen, creates))
            .collect();
        self.record(&reports)
    }

    /// The one way into the store. What came of it is what the auditor holds the daemon to.
    fn record(&mut self, reports: &[Report]) -> Result<(), Crashed> {
        if self.daemon.is_none() {
            return Ok(());
        }
        let effects = self.armed(|daemon, now| daemon.record(reports, now))?;
        for (report, effect) in reports.iter().zip(&effects) {
            let said = &report.observation;
            if let Some(status) = said.status.filter(|_| *effect != Effect::UnknownJob) {
                self.auditor.acknowledge(&said.provider_job_id, status);
            }
            self.note(|| {
                let Observation { provider_job_id, source, status, .. } = said;
                format!("{provider_job_id} is {status:?} by {source:?}: {effect:?}")
            });
        }
        Ok(())
    }

    /// What the daemon does now, or dies over.
    fn armed<T>(
        &mut self,
        work: impl FnOnce(&mut Daemon, Micros) -> Result<T, Crashed>,
    ) -> Result<T, Crashed> {
        let dies = self.fails(self.climate.crash);
        let dies_in = if dies { self.world.random.random_range(1..60) } else { 0 };
        let now = self.daemon_clock(self.world.now());
        let daemon = self.daemon.as_mut().expect("who works runs");
        self.has_news = true;
        daemon.die_in(dies_in);
        let done = work(daemon, now)?;
        daemon.die_in(0);
        Ok(done)
    }

    // The daemon's calls.

    /// What comes of a call, if the daemon makes it now.
    fn answer(&mut self, ask: impl FnOnce(&Provider, Micros) -> Option<String>) -> Answer {
        let now = self.world.now();
        self.tally.calls += 1;
        if !self.is_calm && now < self.failing_until || self.fails(self.climate.failing) {
            return Answer::Failed;
        }
        if !self.is_calm && now < self.throttled_until {
            return Answer::Throttled { seconds: 30 };
        }
        let Some(mut text) = ask(&self.provider, now) else { return Answer::NotFound };
        if self.fails(self.climate.cut) {
            text.truncate(self.world.random.random_range(0..text.len()));
        }
        if self.fails(self.climate.strange_word) {
            text = text.replace("\"processing\"", "\"pondering\"");
        }
        Answer::Said(text)
    }

    /// Asks for a page, and hands its jobs on.
    fn page(&mut self, cursor: Option<&str>) -> Called<jobsyncd::provider::Page> {
        let (length, skew) = (self.climate.page_length, self.provider_skew);
        let clocks = self.clocks();
        let mut daemon = self.daemon.take().expect("who asks runs");
        let called = daemon.page(cursor, clocks, || {
            self.answer(|provider, now| {
                Some(provider.page(cursor, length, now, |moment| moment + skew))
            })
        });
        self.daemon = Some(daemon);
        called
    }

    fn round(&mut self, scope: &RoundScope) {
        let Some(daemon) = &mut self.daemon else { return };
        let jobs = daemon.active(scope);
        let mut round = daemon.begin_round(&jobs);
        let mut cursor = None;
        while round.saves_calls_by_a_page() {
            let Called::Said(page) = self.page(cursor.as_deref()) else { break };
            let found = round.take_page(page.observations);
            self.arrive_later(found, false);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let unread = jobs.iter().filter(|job| job.wants_log).map(|job| job.provider_job_id.clone());
        let rest: Vec<_> = round.take_rest().into_iter().chain(unread).collect();
        for id in rest {
            let missing_since =
                jobs.iter().find(|job| job.provider_job_id == id).and_then(|job| job.missing_since);
            match self.job(&id) {
                Called::Said(seen) => self.arrive_later(vec![seen], false),
                Called::NotFound => {
                    let now = from_micros(self.daemon_clock(self.world.now()));
                    let missing = Observation::missing("replicate", &id, now, missing_since);
                    self.arrive_later(vec![missing], false);
                }
                Called::Nothing => {}
            }
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.end_round(&round);
        }
    }

    fn job(&mut self, id: &str) -> Called<Observation> {
        let skew = self.provider_skew;
        let clocks = self.clocks();
        let mut daemon = self.daemon.take().expect("who asks runs");
        let called = daemon.job(clocks, || {
            let is_calm = self.is_calm;
            self.answer(|provider, now| {
                let job = provider.job(id)?;
                let is_there = job.is_known(now) && (is_calm || !job.may_be_unknown(now));
                is_there.then(|| job.json(now, |moment| moment + skew, true))
            })
        });
        self.daemon = Some(daemon);
        called
    }

    /// An answer takes a while, in which other things happen.
    fn arrive_later(&mut self, found: Vec<Observation>, creates: bool) {
        let pause = if self.is_calm { 0 } else { self.world.delay(CALL_TIMEOUT) };
        let life = self.life;
        self.plan_in(pause, Happening::Answered { life, found, creates });
    }

    /// A page of a full reading, then the next one.
    fn sync(&mut self, cursor: Option<&str>) {
        let Called::Said(page) = self.page(cursor) else { return };
        self.arrive_later(page.observations, true);
        if let Some(next) = page.next {
            let life = self.life;
            self.plan_in(SECOND, Happening::Sync { life, cursor: Some(next) });
        }
    }

    // What befalls everybody.

    fn jump(&mut self) {
        if self.is_calm {
            return;
        }
        self.daemon_skew = self.world.random.random_range(-HOUR..HOUR);
        let skew = self.daemon_skew;
        self.note(|| format!("the daemon's clock is {} s off", skew / SECOND));
        let pause = self.world.random.random_range(0..2 * HOUR);
        self.tally.faults += 1;
        self.plan_in(pause, Happening::Jump);
    }

    /// An outage, or a time of 429, of up to half an hour.
    fn trouble(&mut self) {
        let until = self.world.now() + self.world.delay(HOUR / 2);
        if self.fails(self.climate.failing) {
            self.failing_until = until;
        }
        if self.fails(self.climate.failing) {
            self.throttled_until = until;
        }
        let pause = self.world.random.random_range(0..HOUR);
        self.plan_in(pause, Happening::Trouble);
        if self.daemon.is_some() && self.world.chance(0.5) {
            let life = self.life;
            self.plan_in(0, Happening::Sync { life, cursor: None });
        }
    }

    fn crash(&mut self) {
        self.note(|| "the daemon dies".to_owned());
        self.tally.crashes += 1;
        self.daemon = None;
        self.life += 1;
        self.on_their_way.clear();
        self.lost.clear();
        for Pending { job, attempt, .. } in std::mem::take(&mut self.gathering) {
            self.not_answered(job, attempt);
        }
        let pause = SECOND + self.world.delay(HOUR / 2);
        self.plan_in(pause, Happening::Restart);
    }

    fn restart(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        self.life += 1;
        let Clocks { time, steady } = self.clocks();
        self.daemon = Some(Daemon::start(&self.database(), &self.key, steady));
        self.has_come_back = true;
        self.note(|| "the daemon starts".to_owned());
        self.round(&RoundScope::everything(from_micros(time)));
        let life = self.life;
        if let Some(pause) = self.climate.poll_every {
            self.plan_in(pause, Happening::Round { life });
        }
        self.plan_in(self.climate.reconcile_every, Happening::Reconcile { life });
        self.plan_in(0, Happening::Look { life });
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }
}

/// A folder in memory where there is one: nothing here must survive a power cut.
fn in_memory_folder() -> TempDir {
    let shared_memory = PathBuf::from("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("jobsyncd-faults-");
    builder.tempdir_in(shared_memory).or_else(|_| builder.tempdir()).expect("a temporary folder")
}
