//! One payload of every kind, made of whatever material a test has: fixed, empty or random.
//!
//! The list at the end is the only one by hand. Struct literals in it are complete, so a field that the schema grows
//! stops it from compiling; a kind that it lacks fails the test that compares it with `events_sdk::kinds::ALL`.

use std::{cell::Cell, fmt::Debug};

use events_sdk::{
    __private::wire::Message, Events, Kind, Level, Metadata, Ticket, kinds, payload, proto::events as wire,
};

/// A payload that can be made of material, and every way to emit it.
pub trait Sample<'a>: Message + Copy + Debug {
    /// The same as prost knows it.
    type Proto: prost::Message + Debug + Default + PartialEq + From<Self> + 'static;

    /// A payload whose fields are all taken from the material.
    fn made_of(material: &Material<'a>) -> Self;

    /// Emits it through a handle. The level is left out where the schema fixes it.
    fn emit(self, events: &Events, level: Level, metadata: impl Metadata) -> Ticket;

    /// Emits it through the event system of the process.
    fn emit_freely(self, level: Level, metadata: impl Metadata) -> Ticket;
}

/// What does something with every kind of payload.
pub trait Visitor<'a> {
    /// Does it with one.
    fn visit<P: Sample<'a>>(&mut self, kind: &'static Kind);
}

/// What payloads are made of: some words, pairs and numbers, used up one after the other and then from the start again.
#[derive(Debug, Default)]
pub struct Material<'a> {
    words: &'a [&'a str],
    pairs: &'a [(&'a str, &'a str)],
    numbers: &'a [u64],
    next: Cell<usize>,
}

impl<'a> Material<'a> {
    /// Of these. Without any, fields are empty and numbers zero.
    pub fn new(words: &'a [&'a str], pairs: &'a [(&'a str, &'a str)], numbers: &'a [u64]) -> Self {
        Self { words, pairs, numbers, next: Cell::new(0) }
    }

    fn number(&self) -> u64 {
        let place = self.next.replace(self.next.get() + 1);
        if self.numbers.is_empty() { 0 } else { self.numbers[place % self.numbers.len()] }
    }

    fn pick<T>(&self, from: &'a [T]) -> Option<&'a T> {
        let number = usize::try_from(self.number()).unwrap_or(usize::MAX);
        if from.is_empty() { None } else { from.get(number % from.len()) }
    }

    fn some<T>(&self, from: &'a [T]) -> &'a [T] {
        let end = || usize::try_from(self.number()).unwrap_or(usize::MAX) % (from.len() + 1);
        let (one, other) = (end(), end());
        &from[one.min(other)..one.max(other)]
    }
}

/// A value of a field.
trait Make<'a> {
    fn make(material: &Material<'a>) -> Self;
}

macro_rules! make {
    ($($type:ty: $material:ident => $value:expr;)*) => {$(
        impl<'a> Make<'a> for $type {
            fn make($material: &Material<'a>) -> Self {
                $value
            }
        }
    )*};
}

make! {
    &'a str: material => material.pick(material.words).copied().unwrap_or_default();
    &'a [&'a str]: material => material.some(material.words);
    &'a [(&'a str, &'a str)]: material => material.some(material.pairs);
    bool: material => material.number() != 0;
    // Cut off or taken for signed: any bits will do.
    i32: material => material.number() as i32;
    i64: material => material.number() as i64;
    u64: material => material.number();
    f32: material => f32::from_bits(material.number() as u32);
    &'a [payload::Loss]: material => material.some(LOSSES);
}

/// Losses of every shape: whole, in part, and empty.
const LOSSES: &[payload::Loss] = &[
    payload::Loss {
        reason: Some(payload::LossReason::SpoolFull),
        category: Some(payload::EventCategory::DataTransfer),
        level: Some(payload::EventLevel::Trace),
        count: u64::MAX,
    },
    payload::Loss { reason: Some(payload::LossReason::BestEffort), category: None, level: None, count: 1 },
    payload::Loss { reason: None, category: None, level: None, count: 0 },
];

macro_rules! samples {
    ($(
        $emit:ident($level:ident),
        $payload:ident $([$operation:ident])? { $($field:ident),* $(,)? };
    )*) => {
        $(
            impl<'a> Sample<'a> for payload::$payload<'a> {
                type Proto = wire::$payload;

                fn made_of(material: &Material<'a>) -> Self {
                    Self {
                        $(operation: *material
                            .pick(payload::$operation::ALL)
                            .unwrap_or(&payload::$operation::ALL[0]),)?
                        $($field: Make::make(material),)*
                    }
                }

                fn emit(self, events: &Events, level: Level, metadata: impl Metadata) -> Ticket {
                    samples!(@$level level, [events.$emit], (self, metadata))
                }

                fn emit_freely(self, level: Level, metadata: impl Metadata) -> Ticket {
                    samples!(@$level level, [events_sdk::$emit], (self, metadata))
                }
            }
        )*

        /// Shows the visitor every kind in the list.
        pub fn each_kind<'a>(visitor: &mut impl Visitor<'a>) {
            $(visitor.visit::<payload::$payload<'a>>(kind(stringify!($emit)));)*
        }
    };
    (@caller $level:ident, [$($emit:tt)*], ($($argument:expr),*)) => {
        $($emit)*($level, $($argument),*)
    };
    (@fixed $level:ident, [$($emit:tt)*], ($($argument:expr),*)) => {{
        let _ = $level;
        $($emit)*($($argument),*)
    }};
}

/// The kind that an emitter emits.
fn kind(emitter: &str) -> &'static Kind {
    let name = emitter.trim_start_matches("emit_");
    kinds::ALL.iter().find(|kind| kind.name == name).unwrap_or_else(|| unreachable!("{emitter} has a kind"))
}

samples! {
    emit_system_startup(fixed), SystemStartupPayload[SystemStartupOperation] {
        rodent_id, organization_id, startup_time, startup_type,
        services_started, version, system_info, boot_time_seconds,
    };
    emit_system_shutdown(fixed), SystemShutdownPayload[SystemShutdownOperation] {
        reason, graceful,
    };
    emit_system_config_change(fixed), SystemConfigChangePayload[SystemConfigOperation] {
        config_section, changed_keys,
    };
    emit_system_user(caller), SystemUserPayload[SystemUserOperation] {
        username, display_name, uid, groups,
    };
    emit_system_registration(fixed), SystemRegistrationPayload {
        rodent_id, organization_id, registered_at, toggle_domain, certificate_expires, is_private_network,
        registration_type,
    };
    emit_system_events_lost(fixed), SystemEventsLostPayload {
        lost, lost_in_all, since, until, losses,
    };
    emit_storage_pool(caller), StoragePoolPayload[StoragePoolOperation] {
        pool_name, devices, raid_type, size_bytes, used_bytes,
    };
    emit_storage_dataset(caller), StorageDatasetPayload[StorageDatasetOperation] {
        dataset_name, pool_name, r#type, mountpoint, size_bytes,
    };
    emit_storage_transfer(caller), StorageTransferPayload[StorageTransferOperation] {
        source, destination, size_bytes, transferred_bytes,
        progress_percent,
    };
    emit_storage_snapshot(caller), StorageSnapshotPayload[StorageSnapshotOperation] {
        snapshot_name, dataset_name, creation_time, size_bytes,
    };
    emit_storage_disk(caller), StorageDiskPayload[StorageDiskOperation] {
        device_id, device_path, serial, model, vendor, size_bytes,
        device_type, interface_type, state, health, health_reason, temperature, power_on_hours, pool_name,
    };
    emit_storage_disk_probe(caller), StorageDiskProbePayload[StorageDiskProbeOperation] {
        probe_id, device_id, device_path, probe_type, status, result,
        started_at, completed_at, duration_seconds, percent_complete, error_message, conflict_reason,
        retry_count,
    };
    emit_network_interface(caller), NetworkInterfacePayload[NetworkInterfaceOperation] {
        interface_name, ip_address, mac_address, is_up,
    };
    emit_network_connection(caller), NetworkConnectionPayload[NetworkConnectionOperation] {
        source_ip, destination_ip, source_port, destination_port,
        protocol,
    };
    emit_security_auth(caller), SecurityAuthPayload[SecurityAuthOperation] {
        username, method, source_ip,
    };
    emit_security_key(caller), SecurityKeyPayload[SecurityKeyOperation] {
        key_id, key_type, username, expiry_time,
    };
    emit_security_certificate(caller), SecurityCertificatePayload[SecurityCertificateOperation] {
        cert_id, domain, issued_time, expiry_time,
    };
    emit_service_status(caller), ServiceStatusPayload[ServiceStatusOperation] {
        service_name, status, pid, uptime_seconds,
    };
    emit_identity_user(caller), IdentityUserPayload[IdentityUserOperation] {
        username, display_name, email, groups, domain, enabled,
    };
    emit_identity_group(caller), IdentityGroupPayload[IdentityGroupOperation] {
        group_name, description, members, domain,
    };
    emit_identity_computer(caller), IdentityComputerPayload[IdentityComputerOperation] {
        computer_name, ip_address, os_version, domain, enabled,
    };
    emit_access_acl(caller), AccessAclPayload[AccessAclOperation] {
        resource_path, principal, permissions,
    };
    emit_access_permission(caller), AccessPermissionPayload[AccessPermissionOperation] {
        resource_path, username, permission, granted,
    };
    emit_sharing_share(caller), SharingSharePayload[SharingShareOperation] {
        share_name, path, protocol, allowed_users, read_only,
    };
    emit_sharing_connection(caller), SharingConnectionPayload[SharingConnectionOperation] {
        share_name, username, client_ip, protocol,
    };
    emit_sharing_file_access(caller), SharingFileAccessPayload[SharingFileAccessOperation] {
        file_path, username, operation_type, file_size,
    };
    emit_usage_quota(caller), UsageQuotaPayload[UsageQuotaOperation] {
        organization_id, resource_type, current_usage, quota_limit,
        usage_percentage,
    };
    emit_usage_resource(caller), UsageResourcePayload[UsageResourceOperation] {
        resource_id, resource_type, bytes_used, objects_count,
    };
    emit_usage_threshold(caller), UsageThresholdPayload[UsageThresholdOperation] {
        threshold_name, metric_name, current_value, threshold_value,
    };
    emit_data_transfer(caller), DataTransferTransferPayload[DataTransferOperation] {
        transfer_id, transfer_info_json,
    };
}
