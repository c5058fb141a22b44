//! The machines that SimpleTuner's page offers, with their prices.

use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};

async fn provider(daemon: &TestDaemon, id: &str) -> Value {
    let mut answer = daemon.get("/api/cloud/providers").await.ok();
    let providers = answer["providers"].as_array_mut().expect("a list");
    let found = providers.iter_mut().find(|provider| provider["id"] == id);
    found.expect("the provider").take()
}

#[actix_web::test]
async fn every_machine_that_is_offered_can_be_submitted_and_has_its_price() {
    let simulator = simulator().await;
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .tracking(&simulator)
        .with("JOBSYNCD__BACKGROUND__QUEUE_PROCESSING__ENABLED", "false")
        .start(&database)
        .await;
    let replicate = provider(&daemon, "replicate").await;
    let profiles = replicate["hardware_profiles"].as_array().expect("a list");
    assert!(profiles.len() >= 8, "{profiles:?}");
    for profile in profiles {
        let request = json!({"hardware_profile": profile["id"], "input": {"_simulator": "manual"}});
        let answer = daemon.post_json("/api/cloud/jobs/submit", &request).await.ok();
        let job = daemon.job(answer["job_id"].as_str().expect("an identifier")).await;
        assert_eq!(job["hardware_type"], profile["hardware_type"], "{profile}");
        assert!(profile["label"].as_str().is_some_and(|label| !label.is_empty()), "{profile}");
        let second = profile["cost_per_second"].as_f64().expect("a price");
        let hour = profile["cost_per_hour"].as_f64().expect("a price");
        assert!(second > 0.0 && (hour - second * 3_600.0).abs() < 1e-6, "{profile}");
    }
    let h100 = profiles.iter().find(|profile| profile["id"] == "h100-x2").expect("two of them");
    assert_eq!(
        (&h100["label"], &h100["hardware_type"]),
        (&json!("2x Nvidia H100 GPU"), &json!("h100-x2"))
    );
    assert_eq!(
        (&h100["cost_per_second"], &h100["cost_per_hour"]),
        (&json!(0.00305), &json!(10.98))
    );
    // What its own clients train on where nothing is asked for.
    assert_eq!(replicate["hardware_profile"], "h100");
    assert_eq!(
        (&replicate["hardware"], &replicate["cost_per_hour"]),
        (&json!("Nvidia H100 GPU"), &json!(5.49))
    );
    daemon.stop().await;
}

#[actix_web::test]
async fn a_provider_with_one_machine_offers_no_choice_and_says_what_it_has() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder()
        .with("JOBSYNCD__PROVIDERS__COG__BASE_URL", "http://127.0.0.1:5001")
        .with("JOBSYNCD__PROVIDERS__COG__HARDWARE", "l40s")
        .start(&database)
        .await;
    let cog = provider(&daemon, "cog").await;
    assert_eq!(cog["hardware_profiles"], json!([]));
    assert_eq!(
        (&cog["hardware"], &cog["cost_per_hour"]),
        (&json!("Nvidia L40S GPU"), &json!(3.51))
    );
    daemon.stop().await;
}
