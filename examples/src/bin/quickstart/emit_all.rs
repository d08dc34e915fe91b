//! One event of every kind, category by category: how each emitter is called, to copy from.
//!
//! The pattern is always the same: the level, where the schema does not fix it; the payload, made by `new` from what the
//! event cannot do without and completed with the fields that are known; metadata, or `()` for none. The ticket says
//! what became of the event. Ignoring it is fine, since whatever is dropped is counted anyway.

use std::time::{SystemTime, UNIX_EPOCH};

use events_sdk::{
    self as events, Level, Ticket,
    payload::{
        AccessAclOperation, AccessAclPayload, AccessPermissionOperation, AccessPermissionPayload,
        DataTransferOperation, DataTransferTransferPayload, EventCategory, EventLevel,
        IdentityComputerOperation, IdentityComputerPayload, IdentityGroupOperation, IdentityGroupPayload,
        IdentityUserOperation, IdentityUserPayload, Loss, LossReason, NetworkConnectionOperation,
        NetworkConnectionPayload, NetworkInterfaceOperation, NetworkInterfacePayload, SecurityAuthOperation,
        SecurityAuthPayload, SecurityCertificateOperation, SecurityCertificatePayload, SecurityKeyOperation,
        SecurityKeyPayload, ServiceStatusOperation, ServiceStatusPayload, SharingConnectionOperation,
        SharingConnectionPayload, SharingFileAccessOperation, SharingFileAccessPayload,
        SharingShareOperation, SharingSharePayload, StorageDatasetOperation, StorageDatasetPayload,
        StorageDiskOperation, StorageDiskPayload, StorageDiskProbeOperation, StorageDiskProbePayload,
        StoragePoolOperation, StoragePoolPayload, StorageSnapshotOperation, StorageSnapshotPayload,
        StorageTransferOperation, StorageTransferPayload, SystemConfigChangePayload, SystemConfigOperation,
        SystemEventsLostPayload, SystemRegistrationPayload, SystemShutdownOperation, SystemShutdownPayload,
        SystemStartupOperation, SystemStartupPayload, SystemUserOperation, SystemUserPayload,
        UsageQuotaOperation, UsageQuotaPayload, UsageResourceOperation, UsageResourcePayload,
        UsageThresholdOperation, UsageThresholdPayload,
    },
};

const GIB: i64 = 1 << 30;
const TIB: i64 = 1 << 40;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A function for each category. Each emits one event of every kind in it.
pub(crate) const CATEGORIES: [fn() -> Vec<Ticket>; 10] =
    [system, storage, network, security, service, identity, access, sharing, usage, data_transfer];

fn system() -> Vec<Ticket> {
    vec![
        events::emit_system_startup(
            SystemStartupPayload {
                rodent_id: "node7",
                organization_id: "org-acme",
                startup_time: "2026-03-01T12:00:00Z",
                startup_type: "cold",
                services_started: &["rodent-controller", "smbd", "nfsd"],
                version: "1.4.0",
                system_info: &[("os", "linux"), ("kernel", "6.8.0")],
                boot_time_seconds: now_ms() / 1000 - 42,
                ..SystemStartupPayload::new(SystemStartupOperation::ColdBoot)
            },
            [("component", "toggle-registration")],
        ),
        events::emit_system_registration(
            SystemRegistrationPayload {
                rodent_id: "node7",
                organization_id: "org-acme",
                registered_at: "2026-03-01T12:00:02Z",
                toggle_domain: "node7.example.net",
                certificate_expires: "2026-05-30T12:00:00Z",
                registration_type: "new_registration",
                ..SystemRegistrationPayload::default()
            },
            (),
        ),
        // The event system tells of its own losses itself, in this form.
        events::emit_system_events_lost(
            SystemEventsLostPayload {
                lost: 12,
                lost_in_all: 12,
                since: now_ms() - 60_000,
                until: now_ms(),
                losses: &[Loss {
                    reason: Some(LossReason::SpoolFull),
                    category: Some(EventCategory::Storage),
                    level: Some(EventLevel::Info),
                    count: 12,
                }],
            },
            (),
        ),
        events::emit_system_config_change(
            SystemConfigChangePayload {
                config_section: "events",
                changed_keys: &["batch_size", "retry_max"],
                ..SystemConfigChangePayload::new(SystemConfigOperation::Updated)
            },
            (),
        ),
        events::emit_system_user(
            Level::Info,
            SystemUserPayload {
                username: "alice",
                display_name: "Alice Example",
                uid: 1001,
                groups: &["staff", "storage-admins"],
                ..SystemUserPayload::new(SystemUserOperation::Created)
            },
            (),
        ),
        events::emit_system_shutdown(
            SystemShutdownPayload {
                reason: "kernel update",
                graceful: true,
                ..SystemShutdownPayload::new(SystemShutdownOperation::Restart)
            },
            (),
        ),
    ]
}

fn storage() -> Vec<Ticket> {
    vec![
        events::emit_storage_pool(
            Level::Info,
            StoragePoolPayload {
                pool_name: "tank",
                devices: &["sda", "sdb", "sdc", "sdd"],
                raid_type: "raidz2",
                size_bytes: 32 * TIB,
                used_bytes: 5 * TIB,
                ..StoragePoolPayload::new(StoragePoolOperation::Created)
            },
            [("component", "zfs")],
        ),
        events::emit_storage_dataset(
            Level::Info,
            StorageDatasetPayload {
                dataset_name: "tank/projects",
                pool_name: "tank",
                r#type: "filesystem",
                mountpoint: "/tank/projects",
                size_bytes: 3 * TIB,
                ..StorageDatasetPayload::new(StorageDatasetOperation::Mounted)
            },
            (),
        ),
        events::emit_storage_transfer(
            Level::Info,
            StorageTransferPayload {
                source: "tank/projects@hourly",
                destination: "backup/projects",
                size_bytes: 12 * GIB,
                transferred_bytes: 3 * GIB,
                progress_percent: 25,
                ..StorageTransferPayload::new(StorageTransferOperation::Progress)
            },
            [("transfer_id", "transfer-0192")],
        ),
        events::emit_storage_snapshot(
            Level::Info,
            StorageSnapshotPayload {
                snapshot_name: "tank/projects@hourly",
                dataset_name: "tank/projects",
                creation_time: now_ms(),
                size_bytes: 12 * GIB,
                ..StorageSnapshotPayload::new(StorageSnapshotOperation::Created)
            },
            (),
        ),
        events::emit_storage_disk(
            Level::Critical,
            StorageDiskPayload {
                device_id: "wwn-0x5000c500a1b2c3d4",
                device_path: "/dev/sdc",
                serial: "ZA1B2C3D",
                model: "ST8000NM",
                vendor: "Seagate",
                size_bytes: 8 * TIB,
                device_type: "HDD",
                interface_type: "SAS",
                state: "DEGRADED",
                health: "CRITICAL",
                health_reason: "reallocated sectors rise",
                temperature: 47,
                power_on_hours: 31_204,
                pool_name: "tank",
                ..StorageDiskPayload::new(StorageDiskOperation::HealthChanged)
            },
            (),
        ),
        events::emit_storage_disk_probe(
            Level::Error,
            StorageDiskProbePayload {
                probe_id: "probe-2213",
                device_id: "wwn-0x5000c500a1b2c3d4",
                device_path: "/dev/sdc",
                probe_type: "extensive",
                status: "failed",
                result: "fail",
                started_at: now_ms() - 734_000,
                completed_at: now_ms(),
                duration_seconds: 734,
                percent_complete: 40,
                error_message: "unreadable sector 2093841",
                ..StorageDiskProbePayload::new(StorageDiskProbeOperation::Failed)
            },
            (),
        ),
    ]
}

fn network() -> Vec<Ticket> {
    vec![
        events::emit_network_interface(
            Level::Warn,
            NetworkInterfacePayload {
                interface_name: "eno1",
                ip_address: "10.0.4.7",
                mac_address: "02:42:0a:00:04:07",
                ..NetworkInterfacePayload::new(NetworkInterfaceOperation::Down)
            },
            (),
        ),
        events::emit_network_connection(
            Level::Info,
            NetworkConnectionPayload {
                source_ip: "10.0.4.7",
                destination_ip: "198.51.100.20",
                source_port: 51_422,
                destination_port: 443,
                protocol: "tcp",
                ..NetworkConnectionPayload::new(NetworkConnectionOperation::Established)
            },
            [("peer", "toggle")],
        ),
    ]
}

fn security() -> Vec<Ticket> {
    vec![
        events::emit_security_auth(
            // A record of an audit trail: the last to be dropped.
            Level::Essential,
            SecurityAuthPayload {
                username: "alice",
                method: "ssh-key",
                source_ip: "10.0.9.14",
                ..SecurityAuthPayload::new(SecurityAuthOperation::LoginSuccess)
            },
            (),
        ),
        events::emit_security_key(
            Level::Info,
            SecurityKeyPayload {
                key_id: "SHA256:Yq3dH0",
                key_type: "ed25519",
                username: "alice",
                expiry_time: now_ms() + 365 * DAY_MS,
                ..SecurityKeyPayload::new(SecurityKeyOperation::Installed)
            },
            (),
        ),
        events::emit_security_certificate(
            Level::Info,
            SecurityCertificatePayload {
                cert_id: "03:a7:5c:11",
                domain: "node7.example.net",
                issued_time: now_ms(),
                expiry_time: now_ms() + 90 * DAY_MS,
                ..SecurityCertificatePayload::new(SecurityCertificateOperation::Renewed)
            },
            (),
        ),
    ]
}

fn service() -> Vec<Ticket> {
    vec![events::emit_service_status(
        Level::Info,
        ServiceStatusPayload {
            service_name: "rodent-controller",
            status: "running",
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            uptime_seconds: 42,
            ..ServiceStatusPayload::new(ServiceStatusOperation::Started)
        },
        (),
    )]
}

fn identity() -> Vec<Ticket> {
    vec![
        events::emit_identity_user(
            Level::Info,
            IdentityUserPayload {
                username: "bob",
                display_name: "Bob Example",
                email: "bob@example.net",
                groups: &["staff"],
                domain: "ad.example.net",
                enabled: true,
                ..IdentityUserPayload::new(IdentityUserOperation::Created)
            },
            (),
        ),
        events::emit_identity_group(
            Level::Info,
            IdentityGroupPayload {
                group_name: "storage-admins",
                description: "people who may touch pools",
                members: &["alice", "bob"],
                domain: "ad.example.net",
                ..IdentityGroupPayload::new(IdentityGroupOperation::MemberAdded)
            },
            (),
        ),
        events::emit_identity_computer(
            Level::Info,
            IdentityComputerPayload {
                computer_name: "NODE7",
                ip_address: "10.0.4.7",
                os_version: "Ubuntu 24.04",
                domain: "ad.example.net",
                enabled: true,
                ..IdentityComputerPayload::new(IdentityComputerOperation::Joined)
            },
            (),
        ),
    ]
}

fn access() -> Vec<Ticket> {
    vec![
        events::emit_access_acl(
            Level::Info,
            AccessAclPayload {
                resource_path: "/tank/projects",
                principal: "group:staff",
                permissions: &["read", "write"],
                ..AccessAclPayload::new(AccessAclOperation::Granted)
            },
            (),
        ),
        events::emit_access_permission(
            Level::Warn,
            AccessPermissionPayload {
                resource_path: "/tank/payroll",
                username: "bob",
                permission: "read",
                granted: false,
                ..AccessPermissionPayload::new(AccessPermissionOperation::Denied)
            },
            (),
        ),
    ]
}

fn sharing() -> Vec<Ticket> {
    vec![
        events::emit_sharing_share(
            Level::Info,
            SharingSharePayload {
                share_name: "projects",
                path: "/tank/projects",
                protocol: "smb",
                allowed_users: &["alice", "bob"],
                read_only: false,
                ..SharingSharePayload::new(SharingShareOperation::Created)
            },
            (),
        ),
        events::emit_sharing_connection(
            Level::Info,
            SharingConnectionPayload {
                share_name: "projects",
                username: "alice",
                client_ip: "10.0.9.14",
                protocol: "smb",
                ..SharingConnectionPayload::new(SharingConnectionOperation::Connected)
            },
            (),
        ),
        events::emit_sharing_file_access(
            Level::Info,
            SharingFileAccessPayload {
                file_path: "/tank/projects/plan.txt",
                username: "alice",
                operation_type: "pwrite",
                file_size: 18_204,
                ..SharingFileAccessPayload::new(SharingFileAccessOperation::Write)
            },
            (),
        ),
    ]
}

fn usage() -> Vec<Ticket> {
    vec![
        events::emit_usage_quota(
            Level::Warn,
            UsageQuotaPayload {
                organization_id: "org-acme",
                resource_type: "storage",
                current_usage: 9 * TIB,
                quota_limit: 10 * TIB,
                usage_percentage: 90.0,
                ..UsageQuotaPayload::new(UsageQuotaOperation::Warning)
            },
            (),
        ),
        events::emit_usage_resource(
            Level::Info,
            UsageResourcePayload {
                resource_id: "tank/projects",
                resource_type: "dataset",
                bytes_used: 3 * TIB,
                objects_count: 120_000,
                ..UsageResourcePayload::new(UsageResourceOperation::Measured)
            },
            (),
        ),
        events::emit_usage_threshold(
            Level::Error,
            UsageThresholdPayload {
                threshold_name: "pool-capacity-high",
                metric_name: "pool.capacity_percent",
                current_value: 91.5,
                threshold_value: 90.0,
                ..UsageThresholdPayload::new(UsageThresholdOperation::Exceeded)
            },
            (),
        ),
    ]
}

fn data_transfer() -> Vec<Ticket> {
    vec![events::emit_data_transfer(
        Level::Info,
        DataTransferTransferPayload {
            transfer_id: "transfer-0193",
            transfer_info_json: r#"{"source":"tank/projects@hourly","bytes_done":0}"#,
            ..DataTransferTransferPayload::new(DataTransferOperation::Started)
        },
        [("destination", "node8")],
    )]
}

fn now_ms() -> i64 {
    // A clock before 1970 says nothing; 0 means that the time is not known.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or_default()
}
