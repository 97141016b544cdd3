// "Why is it not updating?": what the server knows about one device, and what follows from it.
//
// Source: design section 6. Judged here, from the answer for the device and its newest events, so that every answer is
// one of a known list, each with what to do. What the device itself decided is its last receipt's code. One thread.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"
#include "sys/clock.h"

namespace fleetseal::cli {

struct Diagnosis {
  std::string what;  // one sentence
  std::string act;   // what to do; empty: nothing
};
// The most weighty first; at least one. `device` as the admin API answers, `events` its newest events, newest first.
std::vector<Diagnosis> DiagnoseDevice(const codec::Json& device, const codec::Json::Array& events, UnixSeconds now);

// The whole page for people.
std::string DescribeDevice(const codec::Json& device, const codec::Json::Array& events, UnixSeconds now);

}  // namespace fleetseal::cli
