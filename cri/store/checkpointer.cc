#include "cri/store/checkpointer.h"

#include <pthread.h>
#include <sqlite3.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace wherry::store {

absl::StatusOr<std::unique_ptr<Checkpointer>> Checkpointer::Start(const std::string& path) {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
    absl::Status error = absl::InternalError(absl::StrCat("open \"", path, "\" again: ", sqlite3_errmsg(db)));
    sqlite3_close(db);
    return error;
  }
  sqlite3_exec(db, "PRAGMA cache_size=-64; PRAGMA synchronous=NORMAL", nullptr, nullptr, nullptr);
  return std::unique_ptr<Checkpointer>(new Checkpointer(db));
}

Checkpointer::Checkpointer(sqlite3* db) : db_(db), thread_([this] { Loop(); }) {}

Checkpointer::~Checkpointer() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
  sqlite3_close(db_);
}

void Checkpointer::Wake() {
  absl::MutexLock lock(&mutex_);
  wanted_ = true;
}

void Checkpointer::Loop() {
  pthread_setname_np(pthread_self(), "checkpoint");
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return wanted_ || ending_; };
      mutex_.Await(absl::Condition(&due));
      if (ending_) return;
      wanted_ = false;
    }
    // A failure loses nothing: the log stays valid, grows, and the next commit asks again.
    sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }
}

}  // namespace wherry::store
