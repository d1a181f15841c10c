/// examples_mandelbrot_test.cpp: the pictures that the examples compute.
#include "mandelbrot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <png.h>
#include <stop_token>
#include <string>
#include <vector>

namespace mandelbrot {
namespace {

using testing::Contains;
using testing::Each;
using testing::IsEmpty;
using testing::Ne;
using testing::SizeIs;

constexpr std::size_t pixels_total = std::size_t{tile_pixels} * tile_pixels;
const Tile whole_set{0, 0, 0};
const Tile deep_inside{6, 34, 32};  // its corner is -0.25

struct Picture {
  unsigned width = 0;
  unsigned height = 0;
  std::vector<std::uint8_t> rgb;
  std::string error;
};

/// Read by libpng, which complains about whatever is wrong with a file.
Picture decode(const std::string& png) {
  Picture picture;
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, png.data(), png.size()) != 0) {
    image.format = PNG_FORMAT_RGB;
    picture.rgb.resize(PNG_IMAGE_SIZE(image));
    png_image_finish_read(&image, nullptr, picture.rgb.data(), 0, nullptr);
  }
  picture.width = image.width;
  picture.height = image.height;
  picture.error = image.message;
  png_image_free(&image);
  return picture;
}

TEST(Mandelbrot, ATileIsAPngOf256Times256) {
  const Picture picture = decode(tile_png({}, whole_set));
  EXPECT_EQ(picture.error, "");
  EXPECT_EQ(picture.width, 256u);
  EXPECT_EQ(picture.height, 256u);
  EXPECT_THAT(picture.rgb, SizeIs(pixels_total * 3));
  EXPECT_THAT(picture.rgb, Contains(Ne(0)));
}

TEST(Mandelbrot, TheSameTileIsTheSameFile) {
  const Tile tile{7, 60, 61};
  EXPECT_EQ(tile_png({}, tile), tile_png({}, tile));
}

TEST(Mandelbrot, TheInsideIsBlack) {
  EXPECT_THAT(render({}, deep_inside), Each(inside));
  const Picture picture = decode(tile_png({}, deep_inside));
  EXPECT_EQ(picture.error, "");
  EXPECT_THAT(picture.rgb, Each(0));
}

TEST(Mandelbrot, TheWholeMapHasBothSides) {
  const std::vector<std::uint8_t> colours = render({}, whole_set);
  ASSERT_THAT(colours, SizeIs(pixels_total));
  const auto at = [&](double re, double im) {  // the map is 8 wide, from -4.5 + 4i
    const auto column = static_cast<std::size_t>((re + 4.5) / 8 * tile_pixels);
    const auto row = static_cast<std::size_t>((4 - im) / 8 * tile_pixels);
    return colours[row * tile_pixels + column];
  };
  EXPECT_EQ(at(0, 0), inside);
  EXPECT_EQ(at(-1, 0), inside);
  EXPECT_EQ(at(-0.1, 0.75), inside);  // needs iterating: it is in neither of the two largest parts
  EXPECT_NE(at(1, 0), inside);
  EXPECT_NE(at(0, 1.5), inside);
}

TEST(Mandelbrot, ATileIsAQuarterOfTheOneAbove) {
  const std::vector<std::uint8_t> above = render({}, whole_set);
  const std::vector<std::uint8_t> quarter = render({}, {1, 0, 0});
  std::size_t inside_above = 0;
  std::size_t inside_quarter = 0;
  for (std::size_t row = 0; row < tile_pixels; ++row) {
    for (std::size_t column = 0; column < tile_pixels; ++column) {
      const std::size_t at = row * tile_pixels + column;
      inside_above += row < 128 && column < 128 && above[at] == inside ? 1 : 0;
      inside_quarter += quarter[at] == inside ? 1 : 0;
    }
  }
  const double ratio = static_cast<double>(inside_quarter) / static_cast<double>(inside_above);
  EXPECT_NEAR(ratio, 4, 0.2);
}

TEST(Mandelbrot, GivesNothingOnceItIsToStop) {
  std::stop_source stop;
  EXPECT_THAT(render(stop.get_token(), deep_inside), SizeIs(pixels_total));
  stop.request_stop();
  EXPECT_THAT(render(stop.get_token(), deep_inside), IsEmpty());
  EXPECT_THAT(tile_png(stop.get_token(), deep_inside), IsEmpty());
}

TEST(Mandelbrot, KnowsWhichNumbersNameATile) {
  EXPECT_TRUE(parse_tile("0", "0", "0"));
  EXPECT_TRUE(parse_tile("3", "7", "7"));
  EXPECT_TRUE(parse_tile("40", "1099511627775", "0"));
  for (const auto& [zoom, x, y] :
       std::vector<std::array<const char*, 3>>{{"0", "1", "0"},
                                               {"0", "0", "1"},
                                               {"3", "8", "0"},
                                               {"41", "0", "0"},
                                               {"-1", "0", "0"},
                                               {"1", "-1", "0"},
                                               {"1", "+1", "0"},
                                               {"1", "0x1", "0"},
                                               {"1", "1.0", "0"},
                                               {"", "0", "0"},
                                               {"1", " 1", "0"},
                                               {"40", "99999999999999999999", "0"}}) {
    EXPECT_FALSE(parse_tile(zoom, x, y)) << zoom << '/' << x << '/' << y;
  }
}

}  // namespace
}  // namespace mandelbrot
