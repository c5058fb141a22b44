//! The configuration through its public face: what each layer says, which one wins, and the exact
//! line for everything that is refused.

use std::fs;
use std::path::Path;

use jobsyncd::config::{Config, DEFAULT_SOURCE, DEFAULT_YAML, DatabaseUrl, Flags, Sources};
use jobsyncd::db::database::Database;
use jobsyncd::domain::budget::{Action, Period};
use jobsyncd::domain::cost::Hardware;
use jobsyncd::domain::web_origin::WebOrigin;
use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use url::Host;

/// Some secret that may never be seen.
const SECRET: &str = "r8_never-to-be-seen-0123456789";

/// Some key of a signature that may never be seen.
const SIGNING_KEY: &str = "bmV2ZXItdG8tYmUtc2Vlbi0wMTIzNDU2Nzg5";

/// An environment in which nothing depends on the machine.
fn environment(variables: &[(&str, &str)]) -> Sources {
    let always = [("STATE_DIRECTORY", "/state")];
    Sources::from_environment(always.iter().chain(variables).copied())
}

/// A file called `name` with `text`, as `--config`.
fn file(name: &str, text: &str) -> (TempDir, Sources) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join(name);
    fs::write(&path, text).expect("a file");
    let mut sources = environment(&[]);
    sources.flags.config = Some(path);
    (directory, sources)
}

fn load(sources: &Sources) -> Config {
    Config::load(sources).expect("a configuration")
}

/// The error of `sources`, with the temporary directory cut out.
fn refusal(sources: &Sources) -> String {
    let error = Config::load(sources).expect_err("a refusal").to_string();
    match sources.flags.config.as_ref().and_then(|path| path.parent()) {
        Some(directory) => error.replace(&format!("{}/", directory.display()), ""),
        None => error,
    }
}

#[test]
fn the_embedded_file_is_the_defaults() {
    let config = load(&environment(&[]));
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:8001");
    assert_eq!(config.server.max_body_bytes, 64 * 1024 * 1024);
    let replicate = &config.providers.replicate;
    assert_eq!(replicate.base_url.as_str(), "https://api.replicate.com/v1");
    assert!(replicate.models.matches(None));
    assert!(replicate.webhook_require_signature);
    assert_eq!(config.polling.explicit, None);
    assert_eq!(config.polling.explicit_source, DEFAULT_SOURCE);
    assert_eq!(config.polling.interval_seconds, 30);
    assert_eq!(config.reconciliation.interval_seconds, 300);
    assert_eq!(config.events.max_connections_per_ip, 5);
    assert_eq!((config.events.retention_days, config.events.retention_bytes), (30, 512 << 20));
    assert_eq!((config.logs.retention_days, config.logs.retention_bytes), (365, 1024 << 20));
    assert_eq!(config.queue.user_max_concurrent, 2);
    assert_eq!(config.progress.ttl_seconds, 5);
}

#[test]
fn the_default_file_given_as_the_file_changes_nothing() {
    let (_directory, sources) = file("jobsyncd.yaml", DEFAULT_YAML);
    let values = |config: Config| {
        config.settings.into_iter().map(|setting| (setting.key, setting.value)).collect::<Vec<_>>()
    };
    assert_eq!(values(load(&sources)), values(load(&environment(&[]))));
}

#[test]
fn every_key_of_the_default_file_is_read() {
    let described = load(&environment(&[])).describe();
    let keys = |yaml: &str| {
        let lines = yaml.lines().filter(|line| !line.trim_start().starts_with('#'));
        let keys = lines.filter_map(|line| line.split_once(':'));
        keys.map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&described), keys(DEFAULT_YAML));
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let (_directory, mut sources) =
        file("c.yaml", "server: {bind: '127.0.0.1:1', workers: 1}\nqueue: {max_concurrent: 7}\n");
    sources.environment.insert("JOBSYNCD__SERVER__BIND".into(), "127.0.0.1:2".into());
    sources.environment.insert("JOBSYNCD__SERVER__WORKERS".into(), "2".into());
    sources.flags.bind = Some("127.0.0.1:3".into());
    let config = load(&sources);
    assert_eq!(config.server.bind.port(), 3);
    assert_eq!(config.source_of("server.bind"), "--bind");
    assert_eq!(config.server.workers.get(), 2);
    assert_eq!(config.source_of("server.workers"), "JOBSYNCD__SERVER__WORKERS");
    assert_eq!(config.queue.max_concurrent, 7);
    assert!(config.source_of("queue.max_concurrent").ends_with("c.yaml"));
    assert_eq!(config.source_of("queue.user_max_concurrent"), DEFAULT_SOURCE);
}

#[test]
fn the_file_is_found_by_flag_then_variable_then_place() {
    let (directory, mut sources) = file("flag.yaml", "progress: {ttl_seconds: 1}");
    for (name, ttl) in [("variable.yaml", 2), ("default.yaml", 3)] {
        let text = format!("progress: {{ttl_seconds: {ttl}}}");
        fs::write(directory.path().join(name), text).expect("a file");
    }
    let variable = directory.path().join("variable.yaml").display().to_string();
    sources.environment.insert("JOBSYNCD_CONFIG".into(), variable);
    sources.default_file = Some(directory.path().join("default.yaml"));
    assert_eq!(load(&sources).progress.ttl_seconds, 1);
    sources.flags.config = None;
    assert_eq!(load(&sources).progress.ttl_seconds, 2);
    sources.environment.remove("JOBSYNCD_CONFIG");
    assert_eq!(load(&sources).progress.ttl_seconds, 3);
    sources.default_file = Some(directory.path().join("missing.yaml"));
    assert_eq!(load(&sources).progress.ttl_seconds, 5);
}

#[rstest]
#[case("")]
#[case("# only a comment\n")]
#[case("---\n# and a mark\n")]
#[case("server:\n#  bind: 127.0.0.1:9\n")]
#[case("server: {bind: null}\n")]
fn a_file_that_says_nothing_changes_nothing(#[case] text: &str) {
    let (_directory, sources) = file("c.yaml", text);
    assert_eq!(load(&sources).server.bind.port(), 8001);
}

#[test]
fn toml_is_read_by_its_extension() {
    let (_directory, sources) = file("c.toml", "[queue]\nmax_concurrent = 9\n");
    assert_eq!(load(&sources).queue.max_concurrent, 9);
}

#[test]
fn variables_are_typed_by_their_key() {
    let config = load(&environment(&[
        ("JOBSYNCD__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("JOBSYNCD__PROVIDERS__REPLICATE__MODELS", "[\"acme/*\", 'other/flux']"),
        ("JOBSYNCD__PROVIDERS__REPLICATE__RATE_LIMIT_SHARE", "0.5"),
        ("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_REQUIRE_SIGNATURE", "false"),
        ("JOBSYNCD__PROVIDERS__REPLICATE__API_TOKEN", "12345"),
        (
            "JOBSYNCD__PROVIDERS__REPLICATE__HARDWARE_INFO",
            "{gpu-t4: {name: T4, cost_per_second_usd: 0.000225}}",
        ),
        ("JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__ENABLED", "true"),
    ]));
    assert_eq!(config.server.trusted_proxies.len(), 2);
    let replicate = &config.providers.replicate;
    assert!(replicate.models.matches(Some("acme/x")) && !replicate.models.matches(None));
    assert!((replicate.rate_limit_share - 0.5).abs() < f64::EPSILON);
    assert!(!replicate.webhook_require_signature);
    assert_eq!(replicate.api_token.as_ref().map(|t| t.expose_secret()), Some("12345"));
    assert_eq!(prices(&replicate.hardware_info["gpu-t4"]), [225]);
    assert_eq!(config.polling.explicit, Some(true));
}

#[rstest]
#[case("null")]
#[case("")]
fn a_variable_can_take_back_what_the_file_says(#[case] nothing: &str) {
    let (_directory, mut sources) = file(
        "c.yaml",
        "providers: {replicate: {webhook_url: 'https://jobs.example.org', models: [a/b]}}",
    );
    for key in ["WEBHOOK_URL", "MODELS"] {
        let variable = format!("JOBSYNCD__PROVIDERS__REPLICATE__{key}");
        sources.environment.insert(variable, nothing.to_owned());
    }
    let config = load(&sources);
    assert_eq!(config.providers.replicate.webhook_url, None);
    assert!(config.providers.replicate.models.matches(None));
}

#[test]
fn prices_become_micro_dollars() {
    let (_directory, sources) = file(
        "c.yaml",
        "providers:\n  replicate:\n    hardware_info:\n      gpu-h100: {name: H100, cost_per_second_usd: 0.001525}\n      cpu.small: {cost_per_second_usd: 0}\n",
    );
    let config = load(&sources);
    assert!(config.source_of("providers.replicate.hardware_info").ends_with("c.yaml"));
    let hardware = config.providers.replicate.hardware_info;
    assert_eq!(hardware["gpu-h100"].name, "H100");
    assert_eq!(prices(&hardware["gpu-h100"]), [1525]);
    assert_eq!(hardware["cpu.small"].name, "cpu.small");
    assert_eq!(prices(&hardware["cpu.small"]), [0]);
}

/// The prices of hardware in micro-dollars, the oldest first.
fn prices(hardware: &Hardware) -> Vec<i64> {
    hardware.prices.values().copied().collect()
}

#[test]
fn a_price_can_change_by_the_day_and_a_model_be_told_its_hardware() {
    let (_directory, sources) = file(
        "c.yaml",
        "providers:
  replicate:
    hardware_info:
      h100: {prices: {\"2026-12-01\": 0.0014, \"2026-01-01\": 0.001525}}
    model_hardware: {acme/lora: h100}
",
    );
    let config = load(&sources).providers.replicate;
    assert_eq!(prices(&config.hardware_info["h100"]), [1525, 1400]);
    assert_eq!(config.model_hardware["acme/lora"], "h100");
}

#[test]
fn of_a_channel_only_its_host_is_shown() {
    let (_directory, sources) = file(
        "c.yaml",
        "notifications: {channels: {ops: {url: 'https://hooks.example/services/T0/never-to-be-seen', format: slack}}}",
    );
    let config = load(&sources);
    let shown = format!("{}{config:?}", config.describe());
    assert!(shown.contains("hooks.example") && !shown.contains("never-to-be-seen"), "{shown}");
}

#[test]
fn a_budget_is_kept_in_micro_dollars() {
    let set = [
        ("JOBSYNCD__COSTS__LIMIT_USD", "99.5"),
        ("JOBSYNCD__COSTS__PERIOD", "weekly"),
        ("JOBSYNCD__COSTS__ACTION", "block"),
    ];
    let budget = load(&environment(&set)).costs.budget;
    assert_eq!(budget.limit_micro_usd, Some(99_500_000));
    assert_eq!((budget.period, budget.action), (Period::Weekly, Action::Block));
    assert_eq!(load(&environment(&[])).costs.budget.limit_micro_usd, None);
}

#[rstest]
#[case("https://api.example.org/v1/", "https://api.example.org/v1")]
#[case("http://127.0.0.1:9001", "http://127.0.0.1:9001")]
#[case("http://127.0.0.1:9001//", "http://127.0.0.1:9001")]
fn the_base_url_ends_without_a_slash(#[case] said: &str, #[case] expected: &str) {
    let config = load(&environment(&[("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", said)]));
    assert_eq!(config.providers.replicate.base_url.as_str(), expected);
}

#[test]
fn hosts_and_origins_are_kept_as_browsers_send_them() {
    let config = load(&environment(&[
        ("JOBSYNCD__SERVER__ALLOWED_HOSTS", "Jobs.Example.org."),
        ("JOBSYNCD__SERVER__ALLOWED_ORIGINS", "https://Studio.example.org:443/"),
    ]));
    assert_eq!(config.server.allowed_hosts, [Host::Domain("jobs.example.org".to_owned())]);
    let studio = WebOrigin::parse("https://studio.example.org").expect("an origin");
    assert_eq!(config.server.allowed_origins, [studio]);
}

// Polling

#[test]
fn simpletuners_interval_beats_everything_and_leaves_the_switch_alone() {
    let (_directory, mut sources) =
        file("c.yaml", "background: {job_status_polling: {enabled: false, interval_seconds: 20}}");
    let ours = "JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__INTERVAL_SECONDS";
    sources.environment.insert(ours.into(), "40".into());
    sources.environment.insert("SIMPLETUNER_JOB_POLL_INTERVAL".into(), "60".into());
    let polling = load(&sources).polling;
    assert_eq!(polling.interval_seconds, 60);
    assert_eq!(polling.interval_source, "SIMPLETUNER_JOB_POLL_INTERVAL");
    assert_eq!(polling.explicit, Some(false));
    assert!(polling.explicit_source.ends_with("c.yaml"));
}

const ENTERPRISE: &str = "\
organisation: {name: Acme, seats: 12}
auth: {oidc: {issuer: 'https://id.example.org', client_secret: '${OIDC}'}}
background:
  job_status_polling: {enabled: true, interval_seconds: 45, jitter: 3}
  queue_processing: {enabled: yes, interval_seconds: 7}
  approval_expiration: {interval_seconds: 300}
";

#[test]
fn the_enterprise_file_is_read_as_it_is() {
    let (_directory, sources) = file("simpletuner-enterprise.yaml", ENTERPRISE);
    let config = load(&sources);
    assert_eq!(config.polling.explicit, Some(true));
    assert_eq!(config.polling.interval_seconds, 45);
    assert!(config.polling.interval_source.ends_with("simpletuner-enterprise.yaml"));
    assert!(config.queue_processing.enabled);
    assert_eq!(config.queue_processing.interval_seconds, 7);
}

#[test]
fn our_file_beats_the_enterprise_file_it_points_to() {
    let (directory, mut sources) = file(
        "c.yaml",
        "enterprise_config: enterprise.yaml\nbackground: {job_status_polling: {interval_seconds: 20}}",
    );
    fs::write(directory.path().join("enterprise.yaml"), ENTERPRISE).expect("a file");
    let polling = load(&sources).polling;
    assert_eq!((polling.explicit, polling.interval_seconds), (Some(true), 20));

    fs::write(directory.path().join("other.yaml"), "job_polling_enabled: off").expect("a file");
    let other = directory.path().join("other.yaml").display().to_string();
    sources.environment.insert("SIMPLETUNER_ENTERPRISE_CONFIG".into(), other);
    assert_eq!(load(&sources).polling.explicit, Some(false));
}

#[test]
fn the_flat_enterprise_keys_count_where_the_nested_ones_are_silent() {
    let (_directory, sources) = file(
        "simpletuner-enterprise.yaml",
        "job_polling_enabled: false\njob_polling_interval: 90\nbackground: {job_status_polling: {enabled: true}}",
    );
    let polling = load(&sources).polling;
    assert_eq!((polling.explicit, polling.interval_seconds), (Some(true), 90));
}

#[test]
fn the_enterprise_file_may_name_a_variable() {
    let text = "job_polling_interval: ${POLL}";
    let (_directory, mut sources) = file("simpletuner-enterprise.yaml", text);
    assert_eq!(
        refusal(&sources),
        "simpletuner-enterprise.yaml: `background.job_status_polling.interval_seconds` takes its value from the variable POLL, which is not set"
    );
    sources.environment.insert("POLL".into(), "75".into());
    assert_eq!(load(&sources).polling.interval_seconds, 75);
}

// Secrets

#[test]
fn a_missing_token_is_a_warning() {
    let config = load(&environment(&[("REPLICATE_API_TOKEN", " ")]));
    assert!(config.providers.replicate.api_token.is_none());
    assert_eq!(
        config.warnings,
        ["no Replicate API token (REPLICATE_API_TOKEN): no account is followed"]
    );
}

#[test]
fn credentials_beat_the_file_and_the_environment_beats_credentials() {
    let (directory, mut sources) =
        file("c.yaml", "providers: {replicate: {api_token: from-the-file}}");
    let write = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("a credential");
    };
    write("replicate-api-token", "from-the-credential\n");
    write("replicate-webhook-secret", "\n");
    write("jobsyncd-api-key", "one-key-of-some-length\n\nanother-key-of-length\n");
    let token = |sources: &Sources| {
        let token = load(sources).providers.replicate.api_token;
        token.map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(token(&sources).as_deref(), Some("from-the-file"));
    let credentials = directory.path().display().to_string();
    sources.environment.insert("CREDENTIALS_DIRECTORY".into(), credentials);
    assert_eq!(token(&sources).as_deref(), Some("from-the-credential"));
    let config = load(&sources);
    assert!(config.providers.replicate.webhook_secret.is_none());
    assert_eq!(config.server.api_keys.len(), 2);
    sources.environment.insert("REPLICATE_API_TOKEN".into(), "from-the-environment".into());
    assert_eq!(token(&sources).as_deref(), Some("from-the-environment"));
}

#[test]
fn no_secret_is_ever_shown() {
    let signing = format!("whsec_{SIGNING_KEY}");
    let postgres = format!("postgres://jobs:{SECRET}@db.example.org/jobs?password={SECRET}");
    let config = load(&environment(&[
        ("REPLICATE_API_TOKEN", SECRET),
        ("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", &signing),
        ("JOBSYNCD__SERVER__API_KEY", SECRET),
        ("JOBSYNCD__DATABASE__URL", &postgres),
    ]));
    let shown = format!("{config:?}\n{}\n{}", config.describe(), config.database.url);
    assert!(!shown.contains(SECRET) && !shown.contains(SIGNING_KEY), "{shown}");
    assert_eq!(config.database.url.to_string(), "postgres://jobs@db.example.org/jobs");
    assert!(matches!(&config.database.url, DatabaseUrl::Postgres(url) if url.expose() == postgres));
    assert!(config.describe().contains("api_token: <set>  # REPLICATE_API_TOKEN\n"));
    assert!(config.describe().contains("webhook_secret: <set>"));
}

#[rstest]
#[case::with_a_prefix("whsec_bmV2ZXItdG8tYmUtc2Vlbi0wMTIzNDU2Nzg5", true)]
#[case::without("bmV2ZXItdG8tYmUtc2Vlbi0wMTIzNDU2Nzg5", true)]
#[case::with_a_line_end("whsec_bmV2ZXItdG8tYmUtc2Vlbi0wMTIzNDU2Nzg5\n", true)]
#[case::a_word("my-secret-word", false)]
#[case::a_token("r8_neverToBeSeen0123456789", false)]
#[case::nothing_but_the_prefix("whsec_", false)]
#[case::hexadecimal_with_a_prefix("whsec_0xdeadbeef", false)]
#[case::cut_off("whsec_bmV2ZXItdG8tYmUtc2Vlbi0wMTIzNDU2Nzg", false)]
#[case::base64_for_urls("whsec_--__bmV2ZXItdG8tYmUtc2Vlbi0wMTIz", false)]
fn a_webhook_secret_is_base64(#[case] secret: &str, #[case] is_taken: bool) {
    let variable = "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET";
    let folder = TempDir::new().expect("a directory");
    fs::write(folder.path().join("replicate-webhook-secret"), secret).expect("a file");
    let credentials = folder.path().display().to_string();
    let ways = [
        environment(&[(variable, secret)]),
        environment(&[("CREDENTIALS_DIRECTORY", &credentials)]),
    ];
    for sources in ways {
        if is_taken {
            assert!(load(&sources).providers.replicate.webhook_secret.is_some());
            continue;
        }
        let line = refusal(&sources);
        let problem = "`providers.replicate.webhook_secret` must be base64, usually after whsec_";
        assert!(line.contains(problem), "{line}");
        let is_shown = line.contains(secret) && !"after whsec_".ends_with(secret);
        assert!(!is_shown, "{line}");
    }
}

#[rstest]
#[case("c.yaml", "providers: {replicate: {api_token: [SECRET]}}")]
#[case("c.yaml", "providers: {replicate: {webhook_secret: SECRET}}")]
#[case("c.yaml", "providers: {replicate: {api_token: 'SECRET and more'}}")]
#[case("c.yaml", "providers: {replicate: {base_url: 'https://u:SECRET@example.org'}}")]
#[case("c.yaml", "providers: {replicate: {base_url: 'ftp://u:SECRET@example.org'}}")]
#[case("c.yaml", "server: {api_keys: SECRET}")]
#[case("c.yaml", "server: {api_keys: ['SECRET ä']}")]
#[case("c.yaml", "server:\n  api_keys: [SECRET\n")]
#[case("c.yaml", "SECRET")]
#[case("c.yaml", "- SECRET")]
#[case("c.toml", "api_token = SECRET")]
#[case("c.yaml", "database: {url: 'mysql://u:SECRET@host/x'}")]
#[case("c.yaml", "database: {url: 'postgres://u:SECRET@host:port/x'}")]
fn no_error_repeats_a_secret(#[case] name: &str, #[case] text: &str) {
    let (_directory, sources) = file(name, &text.replace("SECRET", SECRET));
    let error = Config::load(&sources).expect_err("a refusal");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(error.to_string().lines().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_file_for_everyone_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, sources) =
        file("c.yaml", "providers: {replicate: {api_token: some-token-of-length}}");
    let path = sources.flags.config.clone().expect("a path");
    let warnings = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions");
        load(&sources).warnings
    };
    assert_eq!(
        warnings(0o644),
        [format!("{} holds a secret and is readable by everyone: chmod o-r", path.display())]
    );
    assert!(warnings(0o640).is_empty());
}

// The database

#[rstest]
#[case("sqlite:///var/db/x.db", "/var/db/x.db")]
#[case("sqlite://x.db", "x.db")]
fn a_sqlite_url_is_a_path(#[case] url: &str, #[case] expected: &str) {
    let mut sources = environment(&[]);
    sources.flags = Flags { database_url: Some(url.to_owned()), ..Flags::default() };
    let config = load(&sources);
    assert!(
        matches!(&config.database.url, DatabaseUrl::Sqlite(path) if path == Path::new(expected))
    );
    assert_eq!(config.database.chosen_because, "set by --database-url");
}

#[test]
fn without_a_setting_the_database_goes_where_it_can() {
    let directory = TempDir::new().expect("a directory");
    let at = |variables: &[(&str, &str)], system: &Path| {
        let mut sources = Sources::from_environment(variables.iter().copied());
        sources.system_state_directory = system.to_owned();
        let database = load(&sources).database;
        (database.url.to_string(), database.chosen_because)
    };
    let missing = directory.path().join("missing");
    let not_there = format!("not configured, and {} is not writable: in ", missing.display());
    let home = ("HOME", "/home/ada");
    assert_eq!(
        at(&[home], &missing),
        (
            "sqlite:///home/ada/.local/state/jobsyncd/jobs.db".to_owned(),
            format!("{not_there}the home directory")
        )
    );
    assert_eq!(
        at(&[home, ("XDG_STATE_HOME", "/xdg")], &missing),
        ("sqlite:///xdg/jobsyncd/jobs.db".to_owned(), format!("{not_there}$XDG_STATE_HOME"))
    );
    let there = directory.path();
    assert_eq!(
        at(&[home], there),
        (
            format!("sqlite://{}/jobs.db", there.display()),
            format!("not configured: {} is there and writable", there.display())
        )
    );
    assert_eq!(
        at(&[home, ("STATE_DIRECTORY", "/state:/more")], there),
        ("sqlite:///state/jobs.db".to_owned(), "not configured: in $STATE_DIRECTORY".to_owned())
    );
    assert_eq!(fs::read_dir(there).expect("a directory").count(), 0, "the probe is gone");
}

#[rstest]
#[case::in_the_home_directory(&[("HOME", "home")], Some("home/.local/state/jobsyncd"))]
#[case::in_the_state_of_the_home(
    &[("HOME", "home"), ("XDG_STATE_HOME", "home/a/b")], Some("home/a/b/jobsyncd")
)]
#[case::in_a_state_folder_of_its_own(&[("XDG_STATE_HOME", "state")], Some("state/jobsyncd"))]
#[case::of_the_service(&[("STATE_DIRECTORY", "service")], Some("service"))]
#[case::configured(&[("JOBSYNCD__DATABASE__URL", "sqlite://TMP/new/jobs.db")], Some("new"))]
#[case::without_a_home(&[("HOME", "nowhere")], None)]
#[case::mistyped_state(&[("HOME", "home"), ("XDG_STATE_HOME", "nowhere/b")], None)]
#[case::mistyped(&[("JOBSYNCD__DATABASE__URL", "sqlite://TMP/nowhere/at/all/jobs.db")], None)]
fn all_folders_are_made_in_a_place_of_our_own_choice_and_the_last_one_of_a_path(
    #[case] variables: &[(&str, &str)],
    #[case] made: Option<&str>,
) {
    let directory = TempDir::new().expect("a directory");
    fs::create_dir(directory.path().join("home")).expect("a directory");
    let root = directory.path().display().to_string();
    let variables = variables.iter().map(|(name, value)| match value.contains("TMP") {
        true => ((*name).to_owned(), value.replace("TMP", &root)),
        false => ((*name).to_owned(), format!("{root}/{value}")),
    });
    let mut sources = Sources::from_environment(variables);
    sources.system_state_directory = directory.path().join("missing");

    let claimed = Database::claim(&load(&sources).database);

    match made {
        Some(folder) => {
            claimed.expect("a database");
            assert!(directory.path().join(folder).join("jobs.db").is_file());
        }
        None => {
            let error = claimed.expect_err("no folder").to_string();
            assert!(error.contains(&format!("there is no folder {root}/nowhere")), "{error}");
            assert!(!directory.path().join("nowhere").exists());
        }
    }
}

#[test]
fn without_any_place_the_database_must_be_set() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing");
    let sources = Sources { system_state_directory: missing, ..Sources::default() };
    assert_eq!(
        refusal(&sources),
        "default: `database.url` is not set, and neither HOME nor STATE_DIRECTORY says where else to go"
    );
}

// The address

#[test]
fn an_address_others_can_reach_takes_an_api_key() {
    let bind = ("JOBSYNCD__SERVER__BIND", "0.0.0.0:8001");
    assert_eq!(
        refusal(&environment(&[bind])),
        "JOBSYNCD__SERVER__BIND: `server.bind` is 0.0.0.0:8001, which other machines can reach: set an API key (server.api_keys or JOBSYNCD__SERVER__API_KEY), or bind to 127.0.0.1"
    );
    let key = ("JOBSYNCD__SERVER__API_KEYS", "a-key-of-some-length, another-key-of-length");
    assert_eq!(load(&environment(&[bind, key])).server.api_keys.len(), 2);
}

#[rstest]
#[case("127.0.0.1:0")]
#[case("[::1]:8001")]
#[case("[::ffff:127.0.0.1]:8001")]
#[case("localhost:8001")]
fn a_loopback_address_takes_none(#[case] bind: &str) {
    let config = load(&environment(&[("JOBSYNCD__SERVER__BIND", bind)]));
    assert!(config.server.may_listen_on(&config.server.bind));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let config = load(&environment(&[
        ("REPLICATE_API_TOKEN", "some-token"),
        ("JOBSYNCD__SERVER__API_KEY", "short"),
        ("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", "http://replicate.example.org/v1"),
        (
            "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL",
            "http://jobs.example.org/api/webhooks/replicate",
        ),
        ("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_REQUIRE_SIGNATURE", "no"),
        ("JOBSYNCD__QUEUE__USER_MAX_CONCURRENT", "9"),
    ]));
    assert_eq!(
        config.warnings,
        [
            "an API key has fewer than 16 characters",
            "providers.replicate.base_url is http: the API token crosses the network in the clear",
            "providers.replicate.webhook_url is http: Replicate only calls https",
            "webhooks need no signature and may come from anywhere: anyone can change jobs",
            "queue.user_max_concurrent has no effect above queue.max_concurrent",
        ]
    );
}

#[test]
fn a_runtime_that_nothing_could_be_heard_of_is_a_warning() {
    let runtime = |variables: &[(&str, &str)]| {
        let mut sources = environment(variables);
        let url = ("JOBSYNCD__PROVIDERS__COG__BASE_URL", "http://gpu.example:5000");
        for (name, value) in [("REPLICATE_API_TOKEN", "some-token"), url] {
            sources.environment.insert(name.into(), value.into());
        }
        load(&sources).warnings
    };
    assert_eq!(
        runtime(&[("JOBSYNCD__PROVIDERS__COG__HARDWARE", "abacus")]),
        [
            "providers.cog.webhook_url is not set: nothing can be submitted to the runtime",
            "providers.cog.base_url has a name and no address: set providers.cog.webhook_allowed_ips, or the runtime's webhooks are refused",
            "providers.cog.hardware is abacus, which has no price (providers.replicate.hardware_info)",
        ]
    );
    assert_eq!(
        runtime(&[
            ("JOBSYNCD__PROVIDERS__COG__WEBHOOK_URL", "http://10.0.0.1:8001/api/webhooks/cog"),
            ("JOBSYNCD__PROVIDERS__COG__WEBHOOK_ALLOWED_IPS", "0.0.0.0/0"),
            ("JOBSYNCD__PROVIDERS__COG__HARDWARE", "l40s-x2"),
        ]),
        ["the unsigned webhooks of providers.cog may come from anywhere: anyone can change jobs"]
    );
}

#[test]
fn http_to_this_machine_is_no_warning() {
    let config = load(&environment(&[
        ("REPLICATE_API_TOKEN", "some-token"),
        ("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", "http://127.0.0.1:9001/v1"),
        (
            "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL",
            "http://localhost:8001/api/webhooks/replicate",
        ),
    ]));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

// Refusals, each with its exact line

#[rstest]
#[case(
    "SIMPLETUNER_JOB_POLL_INTERVAL",
    "0",
    "`background.job_status_polling.interval_seconds` must be a whole number from 1 to 86400, not `0`"
)]
#[case(
    "SIMPLETUNER_JOB_POLL_INTERVAL",
    "-5",
    "`background.job_status_polling.interval_seconds` must be a whole number from 1 to 86400, not `-5`"
)]
#[case(
    "SIMPLETUNER_JOB_POLL_INTERVAL",
    "soon",
    "`background.job_status_polling.interval_seconds` must be a whole number from 1 to 86400, not `soon`"
)]
#[case("JOBSYNCD__SERVER__BNID", "x", "unknown key `server.bnid`; did you mean `server.bind`?")]
#[case("JOBSYNCD__SERVR__BIND", "x", "unknown key `servr.bind`; did you mean `server.bind`?")]
#[case(
    "JOBSYNCD__SERVER__BIND__PORT",
    "x",
    "unknown key `server.bind.port`; did you mean `server.bind`?"
)]
#[case(
    "JOBSYNCD__SERVER",
    "x",
    "`server` is a section: set a key of it, as in JOBSYNCD__SERVER__KEY"
)]
#[case(
    "JOBSYNCD__SERVER__BIND",
    "8001",
    "`server.bind` must be an IP address and a port, as in 127.0.0.1:8001 or [::1]:0, not `8001`"
)]
#[case(
    "JOBSYNCD__SERVER__TRUSTED_PROXIES",
    "10.0.0.0/8, 10.0.0.0/40",
    "`server.trusted_proxies` must be an IP address or a network, as in 10.0.0.0/8, not `10.0.0.0/40`"
)]
#[case(
    "JOBSYNCD__SERVER__ALLOWED_HOSTS",
    "jobs.example.org:80",
    "`server.allowed_hosts` must be a host name or address without a port, as in jobs.example.org, not `jobs.example.org:80`"
)]
#[case(
    "JOBSYNCD__SERVER__ALLOWED_ORIGINS",
    "*",
    "`server.allowed_origins` must be an http or https origin without a path, as in https://studio.example.org, not `*`"
)]
#[case(
    "JOBSYNCD__SERVER__API_KEY",
    "two words",
    "`server.api_keys` must be one line of visible ASCII characters, without spaces"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__MODELS",
    "flux",
    "`providers.replicate.models` must be \"*\" or owner/name with * for any characters, as in acme/*, not `flux`"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__MODELS",
    "[]",
    "`providers.replicate.models` must have at least one pattern"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__RATE_LIMIT_SHARE",
    "0",
    "`providers.replicate.rate_limit_share` must be a number above 0, at most 1, not `0`"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL",
    "api.replicate.com",
    "`providers.replicate.base_url` must be an http or https URL, as in https://api.replicate.com/v1, not `api.replicate.com`"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL",
    "https://example.org/?a=b",
    "`providers.replicate.base_url` must be without credentials, query or fragment"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_URL",
    "https://a:b@example.org/",
    "`providers.replicate.webhook_url` must be without credentials: a webhook carries a signature"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_REQUIRE_SIGNATURE",
    "maybe",
    "`providers.replicate.webhook_require_signature` must be true or false, not `maybe`"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__HARDWARE_INFO",
    "{t4: {cost_per_second_usd: 0.0000001}}",
    "`providers.replicate.hardware_info.t4.cost_per_second_usd` must be a number of dollars from 0 to 1 with at most 6 decimals, not `0.0000001`"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__HARDWARE_INFO",
    "{t4: {name: T4}}",
    "`providers.replicate.hardware_info.t4.cost_per_second_usd` is missing"
)]
#[case(
    "JOBSYNCD__PROVIDERS__REPLICATE__HARDWARE_INFO",
    "{t4: {price: 1}}",
    "unknown key `providers.replicate.hardware_info.t4.price`; allowed here: name, cost_per_second_usd, prices"
)]
#[case(
    "JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__ENABLED",
    "2",
    "`background.job_status_polling.enabled` must be true, false or null, not `2`"
)]
#[case(
    "JOBSYNCD__DATABASE__URL",
    "sqlite::memory:",
    "`database.url` cannot be in memory: jobs and events must outlive the daemon, so name a file, as in sqlite:///var/lib/jobsyncd/jobs.db"
)]
#[case(
    "JOBSYNCD__DATABASE__URL",
    "sqlite://",
    "`database.url` must name a file after sqlite://, not a directory"
)]
#[case(
    "JOBSYNCD__DATABASE__URL",
    "sqlite://x.db?mode=ro",
    "`database.url` must be a plain path after sqlite://, without `?` parameters"
)]
#[case(
    "JOBSYNCD__DATABASE__URL",
    "jobs.db",
    "`database.url` must be sqlite:///absolute/path, sqlite://relative/path or postgres://user:password@host/name"
)]
#[case(
    "JOBSYNCD__PROVIDERS__COG__BASE_URL",
    "gpu:5000",
    "`providers.cog.base_url` must be an http or https URL, as in https://api.replicate.com/v1, not `gpu:5000`"
)]
#[case(
    "JOBSYNCD__PROVIDERS__COG__WEBHOOK_ALLOWED_IPS",
    "gpu",
    "`providers.cog.webhook_allowed_ips` must be an IP address or a network, as in 10.0.0.0/8, not `gpu`"
)]
#[case(
    "JOBSYNCD__DATABASE__URL",
    "postgres://h:port/x",
    "`database.url` must be postgres://user:password@host/name, special characters percent-encoded: invalid port number"
)]
fn a_bad_variable_is_refused_by_name(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    assert_eq!(refusal(&environment(&[(variable, value)])), format!("{variable}: {expected}"));
}

#[rstest]
#[case("server: {bnid: x}", "unknown key `server.bnid`; did you mean `server.bind`?")]
#[case("bind: 127.0.0.1:1", "unknown key `bind`; did you mean `server.bind`?")]
#[case("servers: {}", "unknown key `servers`; did you mean `server`?")]
#[case("progress: {colour: 1}", "unknown key `progress.colour`; allowed here: ttl_seconds")]
#[case(
    "server: {workers: 257}",
    "`server.workers` must be a whole number from 0 to 256, not `257`"
)]
#[case(
    "server: {workers: 2.5}",
    "`server.workers` must be a whole number from 0 to 256, not `2.5`"
)]
#[case(
    "server: {workers: [1]}",
    "`server.workers` must be a whole number from 0 to 256, not a list"
)]
#[case("server: 5", "`server` must be a section with keys below it, not `5`")]
#[case(
    "server: {bind: 8001}",
    "`server.bind` must be an IP address and a port, as in 127.0.0.1:8001 or [::1]:0, not `8001`"
)]
#[case(
    "server: {trusted_proxies: '::1'}",
    "`server.trusted_proxies` must be a list, as in [\"a\", \"b\"], not `::1`"
)]
#[case("server: {api_keys: [12345678]}", "`server.api_keys` must be a list of texts in quotes")]
#[case(
    "queue: {max_concurrent: 0}",
    "`queue.max_concurrent` must be a whole number from 1 to 10000, not `0`"
)]
#[case(
    "events: {retention_days: 99999999999}",
    "`events.retention_days` must be a whole number from 1 to 3650, not `99999999999`"
)]
#[case(
    "events: {retention_mb: 0}",
    "`events.retention_mb` must be a whole number from 1 to 1000000, not `0`"
)]
#[case(
    "logs: {retention_days: forever}",
    "`logs.retention_days` must be a whole number from 1 to 3650, not `forever`"
)]
#[case(
    "costs: {limit_usd: -1}",
    "`costs.limit_usd` must be a number of dollars from 0 to 1000000000, or null, not `-1`"
)]
#[case("costs: {period: yearly}", "`costs.period` must be daily, weekly or monthly, not `yearly`")]
#[case("costs: {action: stop}", "`costs.action` must be warn or block, not `stop`")]
#[case(
    "queue: {max_attempts: 0}",
    "`queue.max_attempts` must be a whole number from 1 to 100, not `0`"
)]
#[case(
    "providers: {replicate: {submission_input: 'a b'}}",
    "`providers.replicate.submission_input` must be the name of an input: letters, digits and _, a letter first, not `a b`"
)]
#[case(
    "providers: {replicate: {model_hardware: {a/b: ''}}}",
    "`providers.replicate.model_hardware.a/b` must be the name of a piece of hardware, as in h100-x2, not ``"
)]
#[case(
    "providers: {replicate: {hardware_info: {t4: {prices: {soon: 0.1}}}}}",
    "`providers.replicate.hardware_info.t4.prices` must be a section of days, not `0.1`"
)]
#[case(
    "notifications: {channels: {ops: {format: slack}}}",
    "`notifications.channels.ops.url` is missing"
)]
#[case(
    "notifications: {channels: {ops: {url: 'ftp://secret-path'}}}",
    "`notifications.channels.ops.url` must be an http or https URL"
)]
#[case(
    "notifications: {channels: {ops: {url: 'https://a%3Ab:secret@x.example'}}}",
    "`notifications.channels.ops.url` has a user with a colon, which Basic credentials cannot tell from a password"
)]
#[case(
    "notifications: {channels: {ops: {url: 'https://ops:%ff@x.example'}}}",
    "`notifications.channels.ops.url` has a password that is not UTF-8"
)]
#[case(
    "notifications: {channels: {ops: 'https://ops.example/secret'}}",
    "`notifications.channels.ops` must be a section with url, and perhaps format, secret and events"
)]
#[case(
    "notifications: {channels: 'https://ops.example/secret'}",
    "`notifications.channels` must be a section of channels"
)]
#[case(
    "notifications: {channels: {ops: {url: 'http://169.254.169.254/secret'}}}",
    "`notifications.channels.ops.url` is an address of this machine or of a private network: set notifications.allow_private_addresses"
)]
#[case(
    "notifications: {channels: {ops: {url: 'https://x.example', format: teams}}}",
    "`notifications.channels.ops.format` must be json, slack, discord or ntfy, not `teams`"
)]
#[case(
    "notifications: {channels: {ops: {url: 'https://x.example', secret: 'whsec_%%%'}}}",
    "`notifications.channels.ops.secret` must be whsec_ and a key in base64"
)]
#[case(
    "notifications: {channels: {ops: {url: 'https://x.example', events: [started]}}}",
    "`notifications.channels.ops.events` must be a list of: completed, failed, cancelled, stalled, gone, loss_not_finite, budget, not `started`"
)]
#[case(
    "notifications: {channels: {ops: {url: 'https://x.example', to: me}}}",
    "unknown key `notifications.channels.ops.to`; allowed here: url, format, secret, events"
)]
#[case(
    "notifications: {channels: {'a b': {url: 'https://x.example'}}}",
    "`notifications.channels.a b` must have a name of letters, digits, - and _, at most 64"
)]
#[case("logs: {max_job_mb: 65}", "`logs.max_job_mb` must be a whole number from 1 to 64, not `65`")]
#[case(
    "logs: {retention_mb: 1000001}",
    "`logs.retention_mb` must be a whole number from 1 to 1000000, not `1000001`"
)]
#[case(
    "providers: {replicate: {hardware_info: {t4: {}}}}",
    "`providers.replicate.hardware_info.t4` must be a section with cost_per_second_usd or prices, and perhaps name, not `null`"
)]
#[case(
    "providers: {replicate: {hardware_info: {t4: 1}}}",
    "`providers.replicate.hardware_info.t4` must be a section with cost_per_second_usd or prices, and perhaps name, not `1`"
)]
#[case("database: {url: 5}", "`database.url` must be text in quotes")]
#[case("just text", "cannot be understood: the top level must be keys and their values")]
#[case(
    "server: {bind: 'x'\nqueue: 1",
    "cannot be understood: invalid indentation in flow construct at byte 19 line 2 column 1"
)]
fn a_bad_file_is_refused_by_name(#[case] text: &str, #[case] expected: &str) {
    let (_directory, sources) = file("c.yaml", text);
    assert_eq!(refusal(&sources), format!("c.yaml: {expected}"));
}

#[test]
fn a_bad_value_of_the_enterprise_file_is_refused_too() {
    let (_directory, sources) = file("simpletuner-enterprise.yaml", "job_polling_interval: 0");
    assert_eq!(
        refusal(&sources),
        "simpletuner-enterprise.yaml: `background.job_status_polling.interval_seconds` must be a whole number from 1 to 86400, not `0`"
    );
}

#[test]
fn a_missing_file_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("c.yaml").display().to_string();
    let line = format!("{missing}: cannot be read: No such file or directory (os error 2)");
    for variable in ["JOBSYNCD_CONFIG", "SIMPLETUNER_ENTERPRISE_CONFIG"] {
        assert_eq!(refusal(&environment(&[(variable, &missing)])), line);
    }
}

#[test]
fn the_description_tells_every_value_and_its_source() {
    let config = load(&environment(&[("JOBSYNCD__QUEUE__MAX_CONCURRENT", "8")]));
    let described = config.describe();
    assert!(described.starts_with("server:\n  bind: \"127.0.0.1:8001\"  # default\n"));
    assert!(described.contains(
        "queue:\n  max_concurrent: 8  # JOBSYNCD__QUEUE__MAX_CONCURRENT\n  user_max_concurrent: 2  # default\n"
    ));
    assert!(described.contains("    api_token: <not set>  # default\n"));
    assert!(described.contains("database:\n  url: \"sqlite:///state/jobs.db\"  # default\n"));
    assert!(described.contains("  job_status_polling:\n    enabled: null  # default\n"));
}
