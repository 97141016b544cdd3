// The typ of every signed document (trust model section 4: `fleetseal-<name>+jws`, compared exactly).
//
// Thread rule: constants.
#pragma once

#include <string_view>

namespace fleetseal::manifest {

inline constexpr std::string_view kTypManifest = "fleetseal-manifest+jws";
inline constexpr std::string_view kTypStatus = "fleetseal-status+jws";
inline constexpr std::string_view kTypOrder = "fleetseal-order+jws";
inline constexpr std::string_view kTypPermit = "fleetseal-permit+jws";
inline constexpr std::string_view kTypRequest = "fleetseal-request+jws";
inline constexpr std::string_view kTypApproval = "fleetseal-approval+jws";
inline constexpr std::string_view kTypPlan = "fleetseal-plan+jws";
inline constexpr std::string_view kTypRevocation = "fleetseal-revocation+jws";
inline constexpr std::string_view kTypRegisterChange = "fleetseal-register-change+jws";
inline constexpr std::string_view kTypReceipt = "fleetseal-receipt+jws";
inline constexpr std::string_view kTypDeviceKeys = "fleetseal-device-keys+jws";
inline constexpr std::string_view kTypEnrolment = "fleetseal-enrolment+jws";

}  // namespace fleetseal::manifest
