//! The tables, as Diesel sees them; `migrations/` makes them.

diesel::table! {
    jobs (job_id) {
        job_id -> Text,
        job_type -> Text,
        provider -> Text,
        provider_job_id -> Nullable<Text>,
        status -> Text,
        provider_status -> Nullable<Text>,
        config_name -> Nullable<Text>,
        run_name -> Nullable<Text>,
        model -> Nullable<Text>,
        version -> Nullable<Text>,
        hardware_type -> Nullable<Text>,
        user_id -> Nullable<Text>,
        web_url -> Nullable<Text>,
        created_at -> BigInt,
        provider_created_at -> Nullable<BigInt>,
        first_seen_at -> BigInt,
        started_at -> Nullable<BigInt>,
        completed_at -> Nullable<BigInt>,
        cancel_requested_at -> Nullable<BigInt>,
        status_since -> Nullable<BigInt>,
        confirmed_at -> Nullable<BigInt>,
        predict_time_micros -> Nullable<BigInt>,
        cost_micro_usd -> Nullable<BigInt>,
        error_message -> Nullable<Text>,
        output_url -> Nullable<Text>,
        progress -> Nullable<Text>,
        provenance -> Text,
        liveness -> Text,
    }
}

diesel::table! {
    queue_entries (id) {
        id -> BigInt,
        job_id -> Text,
        status -> Text,
        priority -> BigInt,
        priority_override -> Nullable<BigInt>,
        queued_at -> BigInt,
        not_before -> Nullable<BigInt>,
        submitted_at -> Nullable<BigInt>,
        newest_known_at -> Nullable<BigInt>,
        started_at -> Nullable<BigInt>,
        completed_at -> Nullable<BigInt>,
        attempt -> BigInt,
        max_attempts -> BigInt,
        error_message -> Nullable<Text>,
        estimated_cost_micro_usd -> Nullable<BigInt>,
        job_order -> Text,
        idempotency_key -> Nullable<Text>,
        retry_of -> Nullable<Text>,
        suspects -> Nullable<Text>,
    }
}

diesel::table! {
    events (seq) {
        seq -> BigInt,
        at -> BigInt,
        kind -> Text,
        job_id -> Nullable<Text>,
        offset_bytes -> BigInt,
        json -> Text,
    }
}

diesel::table! {
    event_head (id) {
        id -> BigInt,
        seq -> BigInt,
        end_bytes -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (webhook_id) {
        webhook_id -> Text,
        received_at -> BigInt,
    }
}

diesel::table! {
    job_logs (job_id) {
        job_id -> Text,
        ended_at -> BigInt,
        log_bytes -> BigInt,
        pruned_at -> Nullable<BigInt>,
        missing_at -> Nullable<BigInt>,
        lost_at -> Nullable<BigInt>,
        packed -> Binary,
    }
}

diesel::table! {
    job_logs_sum (id) {
        id -> BigInt,
        packed_bytes -> BigInt,
    }
}

diesel::table! {
    job_search (job_id) {
        job_id -> Text,
        folded -> Text,
    }
}

diesel::table! {
    job_texts (job_id, field) {
        job_id -> Text,
        field -> Text,
        whole -> Text,
    }
}

diesel::table! {
    job_series (job_id) {
        job_id -> Text,
        packed -> Binary,
    }
}

diesel::table! {
    notification_channels (name) {
        name -> Text,
        seq -> BigInt,
    }
}

diesel::table! {
    notification_receivers (receiver) {
        receiver -> Text,
        failures -> BigInt,
        resumes_at -> BigInt,
    }
}

diesel::table! {
    notifications (id) {
        id -> BigInt,
        channel -> Text,
        seq -> BigInt,
        message_id -> Text,
        message -> Text,
        status -> Text,
        attempts -> BigInt,
        next_attempt_at -> BigInt,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    settings (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::joinable!(queue_entries -> jobs (job_id));
diesel::allow_tables_to_appear_in_same_query!(jobs, job_logs, job_search, queue_entries);
