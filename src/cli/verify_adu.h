// `fleetseal verify --profile adu`: documents judged by the rules of the Azure Device Update agent (adu/).
//
// Source: reference ADU sections 2 to 4; trust model section 11. Freshness, rollback and log are unknown to these rules
// and are not judged; the report says so. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/verify_documents.h"
#include "cli/verify_report.h"

namespace fleetseal::cli {

// `roots_file`: what stands for the keys compiled into an agent. Codes: those of adu::ParseRoots.
Status JudgeByAzureRules(const std::string& roots_file, const std::vector<FoundDocument>& documents, Report& report);

}  // namespace fleetseal::cli
