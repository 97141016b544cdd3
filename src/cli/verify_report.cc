#include "cli/verify_report.h"

#include <algorithm>

#include "cli/terminal.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kMarkWidth = 12;
constexpr std::string_view kGood = "ok";
constexpr std::string_view kRefused = "refused";
constexpr std::string_view kNotJudged = "not judged";

std::string Joined(const std::vector<std::string>& texts) {
  std::string text;
  for (const auto& each : texts) text += (text.empty() ? "" : ", ") + each;
  return text;
}

void Draw(const std::vector<Link>& links, const std::string& indent, std::string& text) {
  for (size_t i = 0; i < links.size(); ++i) {
    const bool is_last = i + 1 == links.size();
    text += indent + (is_last ? "└─ " : "├─ ") + CleanLine(links[i].text) + "\n";
    Draw(links[i].next, indent + (is_last ? "   " : "│  "), text);
  }
}

codec::Json ChainJson(const std::vector<Link>& links) {
  codec::Json array = codec::Json::MakeArray();
  for (const Link& link : links) {
    codec::Json json = codec::Json::MakeObject();
    json.Set("text", link.text);
    if (!link.next.empty()) json.Set("next", ChainJson(link.next));
    array.Push(std::move(json));
  }
  return array;
}

}  // namespace

std::vector<Link> Chain(std::vector<std::string> texts) {
  std::vector<Link> chain;
  for (auto it = texts.rbegin(); it != texts.rend(); ++it) {
    Link link{std::move(*it), std::move(chain)};
    chain.clear();
    chain.push_back(std::move(link));
  }
  return chain;
}

void Report::Good(const std::string& document, const Files& files, const std::string& detail, std::vector<Link> chain) {
  findings_.push_back({std::string(kGood), document, files, detail, {}, std::move(chain)});
}

void Report::Bad(const std::string& document, const Files& files, const Refusal& refusal, std::vector<Link> chain) {
  findings_.push_back({std::string(kRefused), document, files, refusal.detail, refusal, std::move(chain)});
}

void Report::NotJudged(const std::string& document, const Files& files, const std::string& why,
                       std::vector<Link> chain) {
  findings_.push_back({std::string(kNotJudged), document, files, why, {}, std::move(chain)});
}

std::string Report::Text(bool is_coloured) const {
  std::string text;
  const std::string indent(kMarkWidth, ' ');
  for (const Finding& finding : findings_) {
    std::string mark = finding.outcome;
    if (mark != kGood)
      std::transform(mark.begin(), mark.end(), mark.begin(),
                     [](char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c); });
    const std::string blanks(kMarkWidth - mark.size(), ' ');
    const Colour colour = mark == kGood ? Colour::kGreen : (finding.refusal ? Colour::kRed : Colour::kYellow);
    text += Painted(mark, colour, is_coloured) + blanks + CleanLine(finding.document);
    if (!finding.files.empty()) text += " (" + CleanLine(Joined(finding.files)) + ")";
    text += "\n";
    if (finding.refusal) {
      const auto& info = InfoOf(finding.refusal->code);
      text += indent + "what: " + std::string(info.name) + ": " + std::string(info.title) + ": " +
              CleanLine(finding.detail) + "\n" + indent + "do:   " + std::string(info.advice) + "\n";
    } else {
      text += indent + CleanLine(finding.detail) + "\n";
    }
    Draw(finding.chain, indent, text);
  }
  return text;
}

codec::Json Report::ToJson() const {
  codec::Json array = codec::Json::MakeArray();
  for (const Finding& finding : findings_) {
    codec::Json json = codec::Json::MakeObject();
    codec::Json files = codec::Json::MakeArray();
    for (const auto& file : finding.files) files.Push(file);
    json.Set("document", finding.document).Set("files", std::move(files)).Set("outcome", finding.outcome);
    if (finding.refusal) {
      const auto& info = InfoOf(finding.refusal->code);
      json.Set("code", info.name).Set("title", info.title).Set("advice", info.advice);
    }
    json.Set("detail", finding.detail);
    if (!finding.chain.empty()) json.Set("chain", ChainJson(finding.chain));
    array.Push(std::move(json));
  }
  return array;
}

std::string Report::Verdict() const {
  const auto is = [](std::string_view outcome) {
    return [outcome](const Finding& finding) { return finding.outcome == outcome; };
  };
  if (std::any_of(findings_.begin(), findings_.end(), is(kRefused))) return "refused";
  if (findings_.empty() || std::any_of(findings_.begin(), findings_.end(), is(kNotJudged))) return "not judged";
  return "trusted";
}

Status Report::Outcome() const {
  for (const Finding& finding : findings_) {
    if (finding.refusal) return Fail(*finding.refusal);
  }
  for (const Finding& finding : findings_) {
    if (finding.outcome == kNotJudged)
      return Fail(ErrorCode::kUnsupported, finding.document + " was not judged: " + finding.detail);
  }
  if (findings_.empty()) return Fail(ErrorCode::kUnsupported, "there was nothing to judge");
  return {};
}

}  // namespace fleetseal::cli
