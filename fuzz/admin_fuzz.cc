// Bodies of the admin API, both ways.
#include "api/admin/fleet.h"
#include "api/admin/requests.h"
#include "fuzz/round_trip.h"
#include "fuzz/target.h"

namespace fleetseal::fuzz {
namespace {

namespace admin = api::admin;

constexpr Case kCases[] = {
    {"whoami", Document<admin::WhoAmI>},
    {"submit-request", Document<admin::SubmitRequest>},
    {"submit-answer", Document<admin::SubmitAnswer>},
    {"approve-request", Document<admin::ApproveRequest>},
    {"approve-answer", Document<admin::ApproveAnswer>},
    {"request-list", Document<admin::RequestList>},
    {"request-detail", Document<admin::RequestDetail>},
    {"register-change-request", Document<admin::RegisterChangeRequest>},
    {"register-change-answer", Document<admin::RegisterChangeAnswer>},
    {"person-certificate-request", Document<admin::PersonCertificateRequest>},
    {"person-certificate-answer", Document<admin::PersonCertificateAnswer>},
    {"people-answer", Document<admin::PeopleAnswer>},
    {"revocation-request", Document<admin::RevocationRequest>},
    {"revocation-answer", Document<admin::RevocationAnswer>},
    {"package-request", Document<admin::PackageRequest>},
    {"package-answer", Document<admin::PackageAnswer>},
    {"audit-answer", Document<admin::AuditAnswer>},
    {"update-row", Value<admin::UpdateRow>},
    {"update-list", Document<admin::UpdateList>},
    {"documents-answer", Document<admin::DocumentsAnswer>},
    {"upload-answer", Document<admin::UploadAnswer>},
    {"plan-request", Document<admin::PlanRequest>},
    {"plan-answer", Document<admin::PlanAnswer>},
    {"start-answer", Document<admin::StartAnswer>},
    {"rollout-row", Value<admin::RolloutRow>},
    {"rollout-list", Document<admin::RolloutList>},
    {"device-row", Value<admin::DeviceRow>},
    {"device-list", Document<admin::DeviceList>},
    {"timeline-answer", Document<admin::TimelineAnswer>},
    {"group-request", Document<admin::GroupRequest>},
    {"group-members-request", Document<admin::GroupMembersRequest>},
    {"group-row", Value<admin::GroupRow>},
    {"group-list", Document<admin::GroupList>},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(admin, kCases)

}  // namespace fleetseal::fuzz
