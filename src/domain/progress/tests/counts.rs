//! What a count counts: the run, its epochs, or something beside it.

use super::super::*;
use super::runs::after;

fn steps(log: &str) -> (Option<u64>, Option<u64>) {
    let progress = after(log);
    (progress.step, progress.total_steps)
}

#[test]
fn a_bar_that_is_faster_than_any_training_is_a_download() {
    let log = "\r  0%|  | 0/9912422 [00:00<?, ?it/s]\
               \r 67%|##| 6619136/9912422 [00:00<00:00, 56403769.51it/s]\n";
    assert_eq!(steps(log), (None, None));
    let slow = log.replace("56403769.51it/s", "40.00it/s");
    assert_eq!(steps(&slow), (Some(6_619_136), Some(9_912_422)));
}

#[test]
fn a_full_bar_that_was_never_seen_before_counts_where_it_took_long() {
    let log = "100%|##| 1124/1124 [2:48:45<00:00, 16.34s/it]\nTraining completed!\n";
    assert_eq!(steps(log), (Some(1124), Some(1124)));
    assert_eq!(after(log).progress, Some(100.0));
    assert_eq!(steps(&log.replace("2:48:45", "00:20")), (None, None));
}

#[test]
fn a_validation_may_be_the_first_to_tell_a_step() {
    let log = "Iter 15: Train loss 2.530, It/sec 0.048\nIter 20: Val loss 2.094\n";
    let progress = after(log);
    assert_eq!((progress.step, progress.loss), (Some(20), Some(2.53)));
    let far = log.replace("Iter 20", "Iter 64");
    assert_eq!(after(&far).step, Some(15), "it counts something else");
}

#[test]
fn a_log_of_validations_alone_tells_their_steps_and_epochs() {
    let line = |epoch, updates| {
        format!(
            "{{\"epoch\": {epoch}, \"valid_loss\": \"4.0\", \"valid_num_updates\": \"{updates}\"}}\n"
        )
    };
    let progress = after(&(line(12, 57_000) + &line(14, 63_000)));
    assert_eq!((progress.step, progress.epoch, progress.loss), (Some(63_000), Some(14.0), None));
}

#[test]
fn a_validation_before_the_first_step_does_not_begin_the_training() {
    let log = "Step 00000 | Validation bpb: 3.3013\nstep 00013/21400 (0.06%) | loss: 7.159345\n";
    let progress = after(log);
    assert_eq!((progress.step, progress.total_steps), (Some(13), Some(21_400)));
    assert_eq!((progress.stage, progress.loss), (Some(Stage::Training), Some(7.159_345)));
}

#[test]
fn batches_beside_steps_of_the_optimizer_are_no_steps() {
    let log = "***** Running training *****\n\
               Beginning of Epoch 1/1, Total Micro Batches 400\n\
               [INFO] [Rank 0] step=10, skipped=0, lr=[1e-05]\n\
               [INFO] epoch=0/micro_step=40/global_step=10, RunningAvgSamplesPerSec=25.0\n\
               [INFO] [Rank 0] step=20, skipped=0, lr=[1e-05]\n\
               [INFO] epoch=0/micro_step=80/global_step=20, RunningAvgSamplesPerSec=25.0\n";
    let progress = after(log);
    assert_eq!((progress.step, progress.progress), (Some(20), Some(20.0)));
}

#[test]
fn a_total_holds_where_a_second_writer_counts_batches() {
    let log = "[INFO] epoch=0/micro_step=34/global_step=34, RunningAvgSamplesPerSec=7.8\n\
               \x20samples/sec: 7.799 | iteration       34/   10000 | lm_loss: 1.1E+01 |\n\
               [INFO] [Rank 0] step=35, skipped=0, lr=[1e-06]\n";
    assert_eq!(steps(log), (Some(35), Some(10_000)));
}

#[test]
fn the_share_of_an_epoch_is_no_total() {
    let log = "INFO\tTrain Epoch: 1 [0%]\nINFO\t[2.42, 2.39, 0, 0.0001]\n";
    assert_eq!(steps(log), (Some(0), None));
}

#[test]
fn a_fit_that_begins_again_in_the_middle_after_an_early_stop_goes_back() {
    let epoch =
        |epoch: u32| format!("Epoch {epoch}/40\n5/5 [======] - 26s 115ms/step - loss: 0.5\n");
    let log = format!("{}{}Epoch 00014: early stopping\n", epoch(13), epoch(14));
    let progress = after(&(log.clone() + &epoch(6)));
    assert_eq!((progress.epoch, progress.restarts), (Some(6.0), 1));
    let stale = log.replace("Epoch 00014: early stopping\n", "") + &epoch(6);
    assert_eq!(after(&stale).restarts, 0, "nothing said that it had ended");
}

#[test]
fn of_several_settings_the_last_one_holds() {
    let log = "default: {'epochs': 1}\nconfiguration: {'epochs': '20'}\nepoch 5, loss 0.5\n";
    assert_eq!(after(log).total_epochs, Some(20));
}
