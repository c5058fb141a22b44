//! Runs: what the lines of a log amount to.

use proptest::prelude::*;

use super::super::*;
use super::lines::all_lines;

pub(super) fn after(log: &str) -> Progress {
    let mut reader = ProgressReader::default();
    reader.push(log.as_bytes());
    reader.progress()
}

#[test]
fn the_pages_examples_hold_for_whole_logs() {
    let progress = after("Step 1500/5000 - loss: 0.0234\n");
    assert_eq!(progress.stage, Some(Stage::Training));
    assert_eq!(progress.last_log.as_deref(), Some("Step 1500/5000 - loss: 0.0234"));
    assert_eq!(progress.progress, Some(30.0));
    assert_eq!(after("epoch 3/10\n").progress, Some(30.0));
    assert_eq!(after(""), Progress::default());
}

#[test]
fn the_last_step_but_one_is_not_the_end() {
    let progress =
        after("\rSteps: 100%|█████████▉| 249/250 [05:02<00:01,  1.22s/it, loss=0.804, lr=0.0004]");
    assert_eq!(progress.progress, Some(99.6));
    assert_eq!(progress.eta_seconds, Some(1.22));
    assert_eq!(progress.learning_rate, Some(0.0004));
}

#[test]
fn a_number_at_the_end_of_an_unfinished_line_is_not_read() {
    let progress = after("step 1/2 - loss: 0.");
    assert_eq!((progress.step, progress.total_steps, progress.loss), (Some(1), Some(2), None));
    let cut_total = after("step 90/1000\nstep 100/10");
    assert_eq!(
        (cut_total.step, cut_total.total_steps, cut_total.progress),
        (Some(100), Some(1000), Some(10.0))
    );
    assert_eq!(after("\rEpoch 1/21, Steps:  30%|███       | 600/20").progress, None);
    assert_eq!(after("Epoch 1/21, Ste").progress, None);
    assert_eq!(after("step 1/2\r").progress, Some(50.0));
}

#[test]
fn other_bars_inside_training_change_no_step() {
    let training = "\rSteps:  30%|███       | 600/2000 [10:00<23:20,  1.00s/it, loss=0.5]\n";
    for other in [
        "Generating Samples:  50%|█████     | 1/2 [01:00<01:00, 60.18s/it]\n",
        "Validation DataLoader 0:  46%|████▌     | 73/157 [00:02<00:02, 37.48it/s]\n",
        "  0%|          | 0/50 [00:00<?, ?it/s]\r 18%|█▊        | 9/50 [00:01<00:03, 11.76it/s]\n",
        "caching latents: 100%|##########| 3/3 [00:02<00:00,  8.11it/s]\n",
        "Uploading: 100%|██████████| 12.3M/12.3M [00:02<00:00, 5.1MB/s]\n",
        "Loading checkpoint shards: 100%|██████████| 2/2 [00:01<00:00,  1.50it/s]\n",
    ] {
        let progress = after(&format!("{training}{other}"));
        assert_eq!(
            (progress.step, progress.total_steps, progress.progress),
            (Some(600), Some(2000), Some(30.0)),
            "{other}"
        );
    }
    let validating =
        after(&format!("{training}Validating:  68%|██████▊   | 54/79 [00:08<00:03,  6.57it/s]"));
    assert_eq!(validating.stage, Some(Stage::Validation));
    assert_eq!(after(&format!("{training}Training complete!\n")).stage, Some(Stage::Training));
}

#[test]
fn a_run_that_is_said_to_be_over_is_done_and_one_that_goes_on_is_not() {
    let log = "step 5 loss: 0.5\nTraining completed\n";
    assert_eq!(after(log).progress, Some(100.0));
    let log = format!("{log}step 6 loss: 0.4\n");
    assert_eq!(after(&log).progress, None);
    assert_eq!(after("Training completed\n").progress, None, "nothing was trained");
    for other in
        ["Training interrupted by user", "Early stopping at step 5", "Training failed: 12", "Done."]
    {
        assert_eq!(after(&format!("step 5 loss: 0.5\n{other}\n")).progress, None, "{other}");
    }
    let log =
        "Epoch 1/2 - loss: 0.5\nTraining completed\nEpoch 2/2 - loss: 0.4\nTraining completed\n";
    assert_eq!(after(log).progress, Some(100.0));
}

#[test]
fn training_that_goes_on_takes_back_what_an_end_made_of_its_percentage() {
    let step = |step| format!("Epoch [2/2], Step [{step}/4], Loss: 0.5\n");
    let log = step(1) + "Training completed\n";
    assert_eq!(after(&log).progress, Some(100.0));
    assert_eq!(after(&(log + &step(2))).progress, Some(75.0));
}

#[test]
fn a_nameless_bar_that_comes_after_the_end_is_no_training() {
    let log = "{'loss': 0.5, 'epoch': 0.5}\n100%|##| 60/60 [01:00<00:00, 1.00it/s]\n\
               {'train_runtime': 60.0, 'epoch': 1.0}\nSaving model...\n";
    let progress = after(&format!("{log}\r  0%|  | 0/32 [00:00<?, ?it/s]"));
    assert_eq!((progress.step, progress.total_steps), (Some(60), Some(60)));
    assert_eq!(progress.stage, Some(Stage::SavingCheckpoint));
    assert_eq!(progress.progress, Some(100.0));
}

#[test]
fn what_was_saved_before_training_is_no_checkpoint() {
    let progress = after("Preprocessing the dataset\nProcessed dataset has been saved to /data\n");
    assert_eq!(progress.stage, Some(Stage::Preprocessing));
}

#[test]
fn steps_that_begin_again_with_each_epoch_are_no_restart_and_no_share_of_the_run() {
    for line in [
        "ep {e} step {b} loss 0.5",
        "Epoch={e} Iter={b} Loss=0.5",
        "Epoch: {e}, Iteration: {b}, Loss: 0.5",
        "Epoch #{e} step #{b} loss 0.5",
        "[{e},   {b}] loss: 0.5",
        "  batch {b} loss: 0.5",
        "loss: 0.5  [{b}/900]",
        "Epoch {e}, batch {b} of 900: loss 0.5",
    ] {
        let epochs = ["1", "2", "3"].into_iter();
        let lines = epochs.flat_map(|epoch| {
            ["300", "600", "900"]
                .map(|batch| line.replace("{e}", epoch).replace("{b}", batch) + "\n")
        });
        let log: String = lines.collect();
        let progress = after(&log);
        assert_eq!((progress.restarts, progress.progress), (0, None), "{log}");
    }
}

#[test]
fn a_part_of_a_script_is_no_step_of_a_training() {
    assert_eq!(after("Step 4: Loading the model GPT2\n").step, None);
    assert_eq!(after("Step 4: loss 0.5\n").step, Some(4));
}

#[test]
fn a_total_announced_earlier_serves_later_steps() {
    let progress =
        after("Total steps: 23,040\n[INFO] [Rank 0] step=9698, skipped=0, iter time (s): 2.0\n");
    assert_eq!(progress.total_steps, Some(23_040));
    assert_eq!(progress.progress, Some(9698.0 * 100.0 / 23_040.0));
    assert_eq!(progress.seconds_per_step, Some(2.0));
    assert_eq!(progress.eta_seconds, Some(2.0 * (23_040 - 9698) as f64));
}

#[test]
fn a_resumed_run_knows_its_time_left_only_after_ten_steps_of_its_own() {
    let mut reader = ProgressReader::default();
    reader.push("\rEpoch 6/21 Steps:  45%|████▌     | 900/2000 [00:00<?, ?it/s]".as_bytes());
    assert_eq!(reader.progress().progress, Some(45.0));
    reader.push(
        "\rEpoch 6/21, Steps:  45%|████▌     | 905/2000 [00:10<36:30,  2.00s/it, step_loss=0.05]"
            .as_bytes(),
    );
    assert_eq!(reader.progress().eta_seconds, None);
    reader.push(
        "\rEpoch 6/21, Steps:  46%|████▌     | 910/2000 [00:20<36:20,  2.00s/it, step_loss=0.05]"
            .as_bytes(),
    );
    assert_eq!(reader.progress().eta_seconds, Some(2180.0));
    assert_eq!(reader.progress().epoch, Some(6.0));
}

#[test]
fn progress_goes_back_only_when_the_run_restarted() {
    assert_eq!(after("step 90/100\nstep 89/100\n").step, Some(90));
    assert_eq!(
        after("step 90/100\nResuming from checkpoint out/checkpoint-50\nstep 51/100\n").progress,
        Some(51.0)
    );
    assert_eq!(after("step 90/100\nstep 50/100\nsomething\nstep 51/100\n").progress, Some(51.0));
    assert_eq!(after("step 90/100\nstep 1/100\n").progress, Some(1.0));
    let two_ranks =
        "rank 0 step 101/200\nrank 1 step 100/200 \nrank 0 step 102/200\nrank 1 step 101/200 \n";
    assert_eq!(after(two_ranks).step, Some(102));
}

#[test]
fn batches_of_an_epoch_are_steps_of_the_run_where_the_epochs_are_known() {
    let progress = after("Epoch 2/4:  50%|█████     | 50/100 [00:50<00:50,  1.00s/it, loss=0.5]\n");
    assert_eq!(
        (progress.step, progress.total_steps, progress.progress),
        (Some(150), Some(400), Some(37.5))
    );
    assert_eq!(progress.eta_seconds, Some(250.0));
    let unknown = after(
        "Epoch 0: 90%|█████████ | 90/100 [01:30<00:10,  1.00s/it, loss=0.5]\nEpoch 1: 20%|██        | 20/100 [00:20<01:20,  1.00s/it, loss=0.4]\n",
    );
    assert_eq!(
        (unknown.step, unknown.epoch, unknown.progress, unknown.eta_seconds),
        (Some(120), Some(1.0), None, None)
    );
}

#[test]
fn a_nameless_bar_goes_on_where_a_line_said_the_run_resumes() {
    let progress = after(
        "Resuming from global step 500, because\n 20%|##   | 505/2523 [00:05<33:38,  1.00s/it]\n",
    );
    assert_eq!((progress.step, progress.total_steps), (Some(505), Some(2523)));
    assert_eq!(progress.eta_seconds, None);
    let sampling = after("step=9698 of training\n 18%|#    | 9/50 [00:00<?, ?it/s]\n");
    assert_eq!((sampling.step, sampling.total_steps), (Some(9698), None));
}

#[test]
fn a_fractional_epoch_is_progress_where_the_epochs_are_known() {
    let progress = after("  Num Epochs = 4\n{'loss': 0.5, 'learning_rate': 1e-5, 'epoch': 1.5}\n");
    assert_eq!((progress.progress, progress.loss), (Some(37.5), Some(0.5)));
}

#[test]
fn a_loss_that_is_no_number_is_null_in_json() {
    let progress = after("steps:   1%|▋   | 41/3280 [00:50<1:06:54,  1.24s/it, avr_loss=nan]\n");
    assert_eq!(progress.loss_not_finite_step, Some(41));
    let json = serde_json::to_value(&progress).unwrap();
    assert!(json["loss"].is_null());
}

#[test]
fn whole_epochs_are_written_without_a_fraction() {
    let progress = Progress { epoch: Some(3.0), ..Progress::default() };
    let json = serde_json::to_string(&progress).unwrap();
    assert!(json.contains("\"epoch\":3,"));
    assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), progress);
}

#[test]
fn the_last_line_is_cut_at_eighty_characters_not_bytes() {
    let shown = after(&format!("first\n{}\n\r   \r", "é█".repeat(60))).last_log.unwrap();
    assert_eq!(shown, "é█".repeat(40));
}

#[test]
fn a_log_that_grew_is_read_from_where_it_ended() {
    let mut reader = ProgressReader::default();
    assert_eq!(reader.read(b"step 1/100\n"), LogChange::Grew { bytes: 11 });
    assert_eq!(reader.read(b"step 1/100\n"), LogChange::Same);
    assert_eq!(reader.read(b"step 1/100"), LogChange::Same);
    assert_eq!(reader.read(b"step 1/100\nstep 20/100\n"), LogChange::Grew { bytes: 12 });
    assert_eq!((reader.log_bytes(), reader.progress().step), (23, Some(20)));
    assert_eq!(reader.read(b""), LogChange::Same);
    assert_eq!(reader.progress().step, Some(20));
    assert_eq!(reader.read(b"step 2/100\n"), LogChange::Rewritten);
    assert_eq!((reader.log_bytes(), reader.progress().step), (11, Some(2)));
    assert_eq!(reader.read(b"Step 2/100\nstep 3/100\n"), LogChange::Rewritten);
}

/// Pieces that logs are made of, to be glued in any order.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let labelled: Vec<Vec<u8>> = all_lines().into_iter().map(String::into_bytes).collect();
    prop_oneof![
        4 => (proptest::sample::select(labelled), prop_oneof![Just(&b"\n"[..]), Just(&b"\r"[..]), Just(&b""[..])])
            .prop_map(|(line, end)| [&line, end].concat()),
        4 => (0u64..=2000, 1u64..=2000).prop_map(|(step, total)| format!("\rSteps:  1%|#| {step}/{total} [00:10<00:01, 2.00it/s, loss=0.{step}]").into_bytes()),
        2 => (0u64..=30, 1u64..=30).prop_map(|(epoch, total)| format!("epoch {epoch}/{total}\n").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..30),
    ]
}

#[test]
fn a_number_that_is_none_is_not_read() {
    for (line, what) in [
        ("Epoch 1e999, Steps:  50%|# | 1/2 [00:03<00:03, 1.5s/it, loss=0.1]", "epoch"),
        ("step 5/10 loss: 0.1 lr: nan", "learning rate"),
        ("step 5/10 loss: 0.1 lr: 1e999", "learning rate"),
        ("step 5/10 loss: 0.1 time: 1e999s", "time of a step"),
    ] {
        let reading = parse_line(line);
        let numbers = [reading.epoch, reading.learning_rate, reading.seconds_per_step];
        assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{what}: {numbers:?}");
    }
}

proptest! {
    #[test]
    fn cutting_a_log_anywhere_gives_the_same_progress(
        pieces in proptest::collection::vec(piece(), 0..30),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let log = pieces.concat();
        let mut whole = ProgressReader::default();
        whole.push(&log);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
        cuts.sort_unstable();
        let mut grown = ProgressReader::default();
        for &cut in &cuts {
            grown.read(&log[..cut]);
            let progress = grown.progress();
            prop_assert!(progress.progress.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
        }
        grown.read(&log);
        prop_assert_eq!(grown.progress(), whole.progress());
    }

    #[test]
    fn no_bytes_make_it_panic(log in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut reader = ProgressReader::default();
        reader.push(&log);
        let progress = reader.progress();
        prop_assert!(progress.progress.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
        parse_line(&String::from_utf8_lossy(&log));
    }

    #[test]
    fn steps_that_rise_make_progress_that_rises(mut steps in proptest::collection::vec(0u64..=2000, 1..40)) {
        steps.sort_unstable();
        let mut reader = ProgressReader::default();
        let mut before = 0.0;
        for step in steps {
            reader.push(format!("\rSteps:  1%|#| {step}/2000 [00:10<00:01, 2.00it/s, loss=0.1]").as_bytes());
            let now = reader.progress().progress.unwrap();
            prop_assert!(now >= before);
            before = now;
        }
    }
}
