// Devices and people: enrolment, register changes, revocations, packages; lists, timelines and groups.
//
// Source: processes.md sections 5 and 6; trust model sections 2 and 9. The signer decides and records; the copies here
// follow at once, so that a revoked device or person is refused at its next request. Thread rule: any thread that may
// block.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/admin/fleet.h"
#include "api/admin/requests.h"
#include "server/core/core.h"
#include "server/devices/certificate_budget.h"
#include "server/rollouts/rollout_service.h"

namespace fleetseal::server {

class DeviceService {
 public:
  DeviceService(Core& core, RolloutService& rollouts) : core_(core), rollouts_(rollouts) {}

  // Returns the certificate's DER. `password`: the enrolment document, or the bare code of a plain EST client. The
  // signer's codes.
  Result<Bytes> Enrol(const DeviceId& device, const Bytes& csr, const std::string& password, const std::string& remote);
  Result<Bytes> Reenrol(const DeviceId& device, const Bytes& csr, const Bytes& current, const std::string& remote);

  // A check-in told a number below what is known (trust model section 9): the signer puts the device into quarantine.
  // The signer's codes; the device then stays as it is.
  Status Quarantine(const DeviceId& device, int64_t generation, const LowerNumber& lower, const std::string& remote);

  // RoleMissing, parsers' and the signer's codes.
  Result<api::admin::RegisterChangeAnswer> ChangeRegister(const Person& person,
                                                          const api::admin::RegisterChangeRequest& body,
                                                          const std::string& remote);
  Result<api::admin::PersonCertificateAnswer> CertifyPerson(const Person& person,
                                                            const api::admin::PersonCertificateRequest& body);
  Result<api::admin::RevocationAnswer> Revoke(const Person& person, const api::admin::RevocationRequest& body,
                                              const std::string& remote);
  Result<api::admin::PackageAnswer> PublishPackage(const Person& person, const api::admin::PackageRequest& body);

  api::admin::DeviceList List(std::string_view cursor, int64_t limit);
  Result<api::admin::DeviceRow> Show(const DeviceId& device);  // NotFound
  Result<api::admin::TimelineAnswer> Timeline(const DeviceId& device, std::optional<int64_t> cursor, int64_t limit);
  // Events of all devices that match, newest first.
  Result<api::admin::TimelineAnswer> Events(const EventFilter& filter, std::optional<int64_t> cursor, int64_t limit);
  Result<api::admin::PeopleAnswer> People(std::string_view cursor, int64_t limit);

  Result<api::admin::GroupRow> PutGroup(const Person& person, const api::admin::GroupRequest& body);
  Result<api::admin::GroupRow> SetMembers(const Person& person, const GroupName& name,
                                          const api::admin::GroupMembersRequest& body);
  Result<api::admin::GroupRow> ShowGroup(const GroupName& name);
  Result<api::admin::GroupList> ListGroups(std::string_view cursor, int64_t limit);

 private:
  // Who acts, from where.
  struct Source {
    std::string actor;
    std::string origin;
  };
  Result<Bytes> Enrolled(const DeviceId& device, const api::signing::EnrolAnswer& answer, bool has_keys,
                         const std::string& remote);
  void ApplyChanges(const manifest::RegisterChange& change, const Source& source);
  Status ApplyRevocation(const manifest::Revocation& revocation, const Source& source);
  void Note(const DeviceId& device, std::string_view event, const Source& source);

  Core& core_;
  RolloutService& rollouts_;
  CertificateBudget certificates_;
};

}  // namespace fleetseal::server
