//! A busy node: the events that a storage server has many of, at the levels it has them.

use events_sdk::{
    self as events, Level, Ticket,
    payload::{
        DataTransferOperation, DataTransferTransferPayload, NetworkConnectionOperation,
        NetworkConnectionPayload, SecurityAuthOperation, SecurityAuthPayload, SharingFileAccessOperation,
        SharingFileAccessPayload, StorageDiskProbeOperation, StorageDiskProbePayload, UsageResourceOperation,
        UsageResourcePayload, UsageThresholdOperation, UsageThresholdPayload,
    },
};

/// Emits the event number `n` of the load. Of a hundred, one is an ERROR and four are WARN.
pub(crate) fn emit_one(n: u64) -> Ticket {
    // 37 and 100 have no common divisor, so all hundred cases come by turns, and mixed. 40 is for an ordinary beginning.
    match (n * 37 + 40) % 100 {
        0 => events::emit_usage_threshold(
            Level::Error,
            UsageThresholdPayload {
                threshold_name: "pool-capacity-high",
                metric_name: "pool.capacity_percent",
                current_value: 91.5,
                threshold_value: 90.0,
                ..UsageThresholdPayload::new(UsageThresholdOperation::Exceeded)
            },
            [("pool", "tank")],
        ),
        1..5 => events::emit_security_auth(
            Level::Warn,
            SecurityAuthPayload {
                username: "backup",
                method: "ssh-key",
                source_ip: "203.0.113.77",
                ..SecurityAuthPayload::new(SecurityAuthOperation::LoginFailed)
            },
            (),
        ),
        5..20 => events::emit_network_connection(
            Level::Info,
            NetworkConnectionPayload {
                source_ip: "10.0.4.21",
                destination_ip: "10.0.4.7",
                source_port: 40_000 + (n % 20_000) as i32,
                destination_port: 445,
                protocol: "tcp",
                ..NetworkConnectionPayload::new(NetworkConnectionOperation::Established)
            },
            (),
        ),
        20..40 => events::emit_storage_disk_probe(
            Level::Info,
            StorageDiskProbePayload {
                probe_id: "probe-2214",
                device_id: "wwn-0x5000c500a1b2c3d4",
                device_path: "/dev/sdc",
                probe_type: "extensive",
                status: "running",
                percent_complete: (n / 500 % 101) as i32,
                ..StorageDiskProbePayload::new(StorageDiskProbeOperation::Progress)
            },
            (),
        ),
        40..75 => {
            // Payloads borrow: the text has to live no longer than the call.
            let path = format!("/tank/projects/render/frame-{n:06}.exr");
            events::emit_sharing_file_access(
                Level::Info,
                SharingFileAccessPayload {
                    file_path: &path,
                    username: "alice",
                    operation_type: "pwrite",
                    file_size: 8_294_400,
                    ..SharingFileAccessPayload::new(SharingFileAccessOperation::Write)
                },
                [("share", "projects")],
            )
        }
        75..90 => events::emit_usage_resource(
            Level::Info,
            UsageResourcePayload {
                resource_id: "tank/projects",
                resource_type: "dataset",
                bytes_used: 3_298_534_883_328 + 8_294_400 * n as i64,
                objects_count: 120_000 + n as i64,
                ..UsageResourcePayload::new(UsageResourceOperation::Increased)
            },
            (),
        ),
        _ => {
            let info = format!(r#"{{"source":"tank/projects@hourly","bytes_done":{}}}"#, n * 1_048_576);
            events::emit_data_transfer(
                Level::Info,
                DataTransferTransferPayload {
                    transfer_id: "transfer-0193",
                    transfer_info_json: &info,
                    ..DataTransferTransferPayload::new(DataTransferOperation::Progress)
                },
                [("destination", "node8")],
            )
        }
    }
}
