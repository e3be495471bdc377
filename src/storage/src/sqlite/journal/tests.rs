//! What a crash may leave of a journal, and what is read back.

use super::super::memory::MemoryDisk;
use super::*;
use proptest::prelude::*;

fn random() -> Random {
    let mut salt = 0u8;
    Box::new(move |bytes| {
        salt += 1;
        bytes.fill(salt);
    })
}

fn read_back(disk: &MemoryDisk, filed: u64) -> (Journal, Vec<(u64, Vec<u8>)>) {
    let mut records = Vec::new();
    let journal = Journal::open(Box::new(disk.clone()), filed, |record| {
        records.push((record.number, record.payload.to_vec()));
    });
    (journal.unwrap(), records)
}

#[test]
fn a_segment_is_reused_once_its_filing_is_synced() {
    let disk = MemoryDisk::default();
    let (mut journal, _) = read_back(&disk, 0);
    let mut random = random();
    let mut run = |journal: &mut Journal, count: u64| {
        for _ in 0..count {
            let payload = format!("record {}", journal.last() + 1);
            journal.append(payload.as_bytes(), &mut random).unwrap();
        }
        journal.rotate();
        journal.last()
    };
    let first = run(&mut journal, 30);
    let second = run(&mut journal, 10);
    journal.filed(first, 1);
    for _ in 2..SEGMENTS_MIN {
        run(&mut journal, 2);
    }
    let third = run(&mut journal, 10);
    assert_eq!(journal.segments.len(), SEGMENTS_MIN + 1, "what is filed may be lost with the power");
    journal.filed(second, 2);
    journal.release(1);
    let last = run(&mut journal, 5);
    assert_eq!(journal.segments.len(), SEGMENTS_MIN + 1, "the first segment is used again");
    journal.release(2);
    drop(journal);
    // The first segment holds five new records and, behind them, twenty-five stale ones.
    for filed in [second, second + 3, third, last] {
        let (journal, records) = read_back(&disk, filed);
        assert_eq!(journal.last(), last);
        let numbers: Vec<u64> = records.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (filed + 1..=last).collect::<Vec<_>>());
        assert!(records.iter().all(|(number, payload)| *payload == format!("record {number}").into_bytes()));
    }
}

#[test]
fn nothing_is_left_of_records_that_are_filed() {
    let disk = MemoryDisk::default();
    let (mut journal, _) = read_back(&disk, 0);
    let mut random = random();
    let mut run = |journal: &mut Journal, what: &str, count: u64| {
        (0..count).for_each(|_| journal.append(what.repeat(2_000).as_bytes(), &mut random).unwrap());
        journal.last()
    };
    let found = |what: &str| -> usize {
        let segments = disk.clone().read().unwrap();
        let in_one = |bytes: &Vec<u8>| bytes.windows(what.len()).filter(|at| *at == what.as_bytes()).count();
        segments.iter().map(in_one).sum()
    };
    for _ in 0..3 {
        // Filed and released, and partly overwritten by a later use.
        let filed = run(&mut journal, "secret", 200);
        journal.rotate();
        journal.filed(filed, 1);
        journal.release(1);
        for _ in 0..SEGMENTS_MIN {
            let filed = run(&mut journal, "harmless", 3);
            journal.rotate();
            journal.filed(filed, 1);
        }
        let live = run(&mut journal, "present", 5);
        assert!(found("secret") > 0);
        while journal.zero_stale().unwrap() {}
        assert_eq!((found("secret"), found("present")), (0, 10_000));
        drop(journal);
        let (reopened, records) = read_back(&disk, live - 5);
        assert_eq!(records.len(), 5);
        journal = reopened;
        journal.filed(live, 1);
        journal.release(1);
    }
}

#[test]
fn records_behind_missing_ones_are_read() {
    let disk = MemoryDisk::default();
    let (mut journal, _) = read_back(&disk, 0);
    journal.append(b"one", &mut random()).unwrap();
    drop(journal);
    assert_eq!(read_back(&disk, 1).0.last(), 1);
    let gone = MemoryDisk::default();
    let (mut journal, _) = read_back(&gone, 5);
    journal.append(b"six", &mut random()).unwrap();
    drop(journal);
    let (journal, records) = read_back(&gone, 3);
    assert_eq!((journal.last(), records), (6, vec![(6, b"six".to_vec())]));
}

/// Whichever byte of the journal is damaged: at most one record is lost (with a segment's header, those of the
/// segment), and none is read back as something else.
#[test]
fn a_damaged_byte_costs_one_record() {
    let disk = MemoryDisk::default();
    let (mut journal, _) = read_back(&disk, 0);
    let mut random = random();
    let payload = |number: u64| vec![number as u8; 300 * (number as usize % 4)];
    for number in 1..=9 {
        journal.append(&payload(number), &mut random).unwrap();
        if number == 5 {
            journal.rotate();
        }
    }
    drop(journal);
    let segments = disk.clone().read().unwrap();
    for (segment, bytes) in segments.iter().enumerate() {
        for at in (0..bytes.len().min(8 * SECTOR)).step_by(7) {
            let damaged = MemoryDisk::default();
            for (number, bytes) in segments.iter().enumerate() {
                let mut disk = damaged.clone();
                disk.add().unwrap();
                let mut bytes = bytes.clone();
                if number == segment {
                    bytes[at] ^= 0x41;
                }
                disk.write(number, 0, &bytes).unwrap();
                disk.sync(number).unwrap();
            }
            let (_, records) = read_back(&damaged, 0);
            assert!(records.iter().all(|(number, read)| *read == payload(*number)), "byte {at} of {segment}");
            let least = if at < SECTOR { 4 } else { 8 };
            assert!(records.len() >= least, "byte {at} of {segment}: {}", records.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whichever sectors of a record a power failure leaves: earlier records are intact, and the record is there
    /// completely or not at all.
    #[test]
    fn a_torn_record_is_ignored(
        sizes in prop::collection::vec(0usize..5_000, 1..12),
        rotate in prop::collection::vec(any::<bool>(), 12),
        kept in prop::collection::vec(any::<bool>(), 64),
    ) {
        let disk = MemoryDisk::default();
        let (mut journal, _) = read_back(&disk, 0);
        let mut random = random();
        let payload = |number: u64, size: usize| vec![number as u8; size];
        let (last, promised) = sizes.split_last().unwrap();
        for (number, (size, rotate)) in (1..).zip(promised.iter().zip(&rotate)) {
            journal.append(&payload(number, *size), &mut random).unwrap();
            if *rotate {
                journal.rotate();
            }
        }
        disk.set_sync_fails(true);
        let number = journal.last() + 1;
        prop_assert!(journal.append(&payload(number, *last), &mut random).unwrap_err().is_fatal());
        drop(journal);
        let mut kept = kept.into_iter().cycle();
        disk.crash(|| kept.next().unwrap());
        let (mut journal, mut records) = read_back(&disk, 0);
        if records.len() as u64 == number {
            prop_assert_eq!(records.pop().unwrap().1, payload(number, *last));
        }
        prop_assert_eq!(records.len(), promised.len());
        for ((number, found), size) in records.iter().zip(promised) {
            prop_assert_eq!(found, &payload(*number, *size));
        }
        // The journal continues from there.
        let next = journal.last() + 1;
        journal.append(b"next", &mut random).unwrap();
        prop_assert_eq!(read_back(&disk, 0).1.pop().unwrap(), (next, b"next".to_vec()));
    }
}

#[test]
fn a_full_disk_rejects_a_record_and_later_accepts_the_next() {
    let disk = MemoryDisk::default();
    let (mut journal, _) = read_back(&disk, 0);
    let mut random = random();
    disk.set_full(true);
    assert!(!journal.append(b"no room", &mut random).unwrap_err().is_fatal());
    disk.set_full(false);
    journal.append(b"one", &mut random).unwrap();
    // Allocated space is usable on a full disk.
    disk.set_full(true);
    journal.append(b"two", &mut random).unwrap();
    assert!(!journal.append(&vec![0; 2 * GROWTH], &mut random).unwrap_err().is_fatal());
    disk.set_full(false);
    journal.append(b"three", &mut random).unwrap();
    let texts: Vec<_> = read_back(&disk, 0).1.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
}
